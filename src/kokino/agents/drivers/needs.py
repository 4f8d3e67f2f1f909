"""What a CLI needs in order to run, as its driver knows it; the doctor looks whether it is there.

Logins are told by names and dates alone: whatever else a file of credentials holds is read past.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from kokino.clock import from_ms

#: The content of a file; None where there is none that can be read.
ReadFile = Callable[[Path], bytes | None]
#: Times above this are milliseconds: as seconds they would lie beyond the year 5000.
_LARGEST_SECONDS = 1e11


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A login that was found."""

    #: The variable or file that holds it.
    where: str
    #: When it ends; None where nothing tells.
    expires_at: datetime | None = None
    #: The CLI gets another one by itself when this one ends.
    is_renewed: bool = False
    #: Why it is none, though it is there, or should be.
    fault: str | None = None
    #: The command that mends that, where it is another than the one by which a person logs in.
    mend: str | None = None


class LoginWay(Protocol):
    """One of the ways by which a CLI may be logged in."""

    def find(self, env: Mapping[str, str], read: ReadFile) -> Login | None:
        """The login, in the environment of an agent; None where there is none of this way."""
        ...


@dataclass(frozen=True, slots=True)
class InVariable:
    """A key or a token in an environment variable, or a switch to a cloud that has logins of its own."""

    name: str

    def find(self, env: Mapping[str, str], read: ReadFile) -> Login | None:
        """Found where the variable holds anything."""
        return Login(where=self.name) if env.get(self.name) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class InFile:
    """A file that the CLI writes when somebody logs in, or in which somebody configured a key."""

    #: Below HOME, or below what `moved_by` says.
    path: str
    #: The variable that names another folder than `home_part`, with that leading part of `path`.
    moved_by: str | None = None
    home_part: str = ""
    #: Keys that lead to the login in it, JSON or TOML; none where the whole of it is the login.
    key: tuple[str, ...] = ()
    #: Below `key`: when it ends, in seconds or milliseconds since 1970 or ISO 8601. Without both of them the
    #: file may be of any kind.
    expiry: str | None = None
    #: Below `key`: what the CLI gets another one with.
    renewal: str | None = None

    def find(self, env: Mapping[str, str], read: ReadFile) -> Login | None:
        """Found where the file holds something at `key`."""
        file = self.file(env)
        content = read(file)
        if not content:
            return None
        if not self.key and self.expiry is None:
            return Login(where=str(file))
        document = _document(content, file)
        if document is None:
            return Login(where=str(file), fault="cannot be read: it is damaged")
        held = _at(document, self.key)
        if not held:
            return None
        inner = held if isinstance(held, dict) else {}
        return Login(
            where=str(file),
            expires_at=_instant(inner.get(self.expiry)) if self.expiry else None,
            is_renewed=self.renewal is not None and bool(inner.get(self.renewal)),
        )

    def file(self, env: Mapping[str, str]) -> Path:
        """Where it is for an agent of that environment."""
        if self.moved_by and env.get(self.moved_by):
            return Path(env[self.moved_by]) / self.path.removeprefix(self.home_part).lstrip("/")
        return home_of(env) / self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What is known of one CLI. The defaults say that nothing is."""

    #: Its package in npm's registry.
    package: str | None = None
    #: The oldest version that this driver was tried with; an older one is warned of.
    oldest: str | None = None
    #: Any one of them is enough; none means that it has no login that we could know of.
    logins: tuple[LoginWay, ...] = ()
    #: False where it answers without a login too.
    is_login_needed: bool = True
    #: The command by which a person logs in.
    login_command: str | None = None
    #: Arguments that start the whole program, cost nothing and need no network: it must exit with 0 and tell
    #: its version. None where nobody can know what the program takes.
    dry_run: tuple[str, ...] | None = ("--version",)
    #: Variables of which it needs one, unless one of `instead` is among its flags, with what happens else.
    variable: str | None = None
    instead: tuple[str, ...] = ()
    without: str = ""


def home_of(env: Mapping[str, str]) -> Path:
    """The home folder of whoever runs with this environment."""
    return Path(env["HOME"]) if env.get("HOME") else Path.home()


def _document(content: bytes, file: Path) -> dict[str, Any] | None:
    with suppress(ValueError, RecursionError):
        text = content.decode()
        read = tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)
        return read if isinstance(read, dict) else None
    return None


def _at(document: Any, keys: tuple[str, ...]) -> Any:
    """What the keys lead to; ``*`` is the first value that holds anything."""
    for key in keys:
        if not isinstance(document, dict):
            return None
        document = next(filter(None, document.values()), None) if key == "*" else document.get(key)
    return document


def _instant(value: object) -> datetime | None:
    with suppress(ValueError, OverflowError, OSError):
        if isinstance(value, int | float) and not isinstance(value, bool):
            return from_ms(int(value * 1000 if abs(value) < _LARGEST_SECONDS else value))
        if isinstance(value, str):
            said = datetime.fromisoformat(value)
            return said if said.tzinfo else said.replace(tzinfo=UTC)
    return None
