"""Is somebody logged in? By names and dates alone: no secret is kept or told."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path, PurePath

from kokino.agents.drivers.needs import InFile, InVariable, Login, Needs, ReadFile, home_of
from kokino.agents.drivers.registry import driver_named
from kokino.agents.model import CliType
from kokino.clock import iso
from kokino.doctor.model import Check

#: How long before its end a login is warned of that nobody renews: over a weekend.
SOON = timedelta(days=3)
#: The largest file that is read for a login, in bytes: theirs have some kilobytes.
LARGEST = 1 << 20


def check_login(cli_type: CliType, env: Mapping[str, str], now: datetime, read: ReadFile) -> Check:
    """Whether one of the CLI's ways leads to a login that has not ended."""
    needs = driver_named(cli_type.driver).needs
    if not needs.logins:
        message = "not looked for: this driver knows of no login"
        return Check(name="auth", passed=True, message=message, is_tried=False)
    found = [login for way in needs.logins if (login := way.find(env, read)) is not None]
    good = [login for login in found if _fault(login, now) is None]
    if good:
        return _logged_in(good[0], now)
    mend = next((login.mend for login in found if login.mend), None) or logging_in(cli_type, env)
    said = [_missing(found, needs, env, now)]
    if mend is None:
        said.append(_advice(needs, cli_type.command[0], env))
    if not needs.is_login_needed:
        said.append("it may answer all the same")
    return Check(
        name="auth", passed=False, message="; ".join(said), is_required=needs.is_login_needed, mend=mend
    )


def logging_in(cli_type: CliType, env: Mapping[str, str]) -> str | None:
    """The command by which a person logs the agents in; None where another program than the usual one runs.

    With the agent's folders: those of whoever types it may be others.
    """
    needs, program = driver_named(cli_type.driver).needs, cli_type.command[0]
    usual, _, arguments = (needs.login_command or "").partition(" ")
    if not usual or PurePath(program).name != usual:
        return None
    moved = [way.moved_by for way in needs.logins if isinstance(way, InFile) and way.moved_by]
    folders = {"HOME": str(home_of(env)), **{name: env[name] for name in moved if env.get(name)}}
    given = [f"{name}={shlex.quote(folder)}" for name, folder in folders.items()]
    return " ".join([*given, shlex.quote(program), arguments]).rstrip()


def read_file(path: Path) -> bytes | None:
    """What a file holds; None where there is none that we may read, or one that is far too large."""
    with suppress(OSError, ValueError):
        if path.is_file() and path.stat().st_size <= LARGEST:
            return path.read_bytes()
    return None


def _logged_in(login: Login, now: datetime) -> Check:
    ends = login.expires_at
    if login.is_renewed:
        return Check(name="auth", passed=True, message=f"by {login.where}, which the CLI renews")
    if ends is None:
        return Check(name="auth", passed=True, message=f"by {login.where}")
    said = f"{login.where} ends at {iso(ends)}"
    return Check(
        name="auth",
        passed=True,
        message=f"by {login.where}, until {iso(ends)}",
        warnings=(f"{said}: log in anew before",) if ends - now <= SOON else (),
    )


def _fault(login: Login, now: datetime) -> str | None:
    if login.fault is not None:
        return login.fault
    if login.expires_at is not None and login.expires_at <= now and not login.is_renewed:
        return f"has expired at {iso(login.expires_at)}"
    return None


def _missing(found: Sequence[Login], needs: Needs, env: Mapping[str, str], now: datetime) -> str:
    """What is wrong with the first one, or where it was looked for first; docs/doctor.md lists all places."""
    if found:
        return f"{found[0].where} {_fault(found[0], now)}"
    files = [f"there is none in {way.file(env)}" for way in needs.logins if isinstance(way, InFile)]
    variables = [f"{name} is not set" for name in _variables(needs)]
    return f"nobody is logged in: {', '.join([*files[:1], *variables[:1]])}"


def _variables(needs: Needs) -> list[str]:
    return [way.name for way in needs.logins if isinstance(way, InVariable)]


def _advice(needs: Needs, program: str, env: Mapping[str, str]) -> str:
    """For a program of which nobody knows how it is logged in."""
    variable = "".join(f", or set {name} in env" for name in _variables(needs)[:1])
    return f"log in as {program!r} wants it, with HOME={home_of(env)}{variable}"
