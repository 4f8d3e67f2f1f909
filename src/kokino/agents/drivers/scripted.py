"""The scripted agent that Kokino ships (docs/scripted-agent.md): Claude Code's arguments and dialect."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import kokino
from kokino.agents.drivers.claude_code import arguments, skips_permissions
from kokino.agents.drivers.contract import Command, Invocation, Reader
from kokino.agents.drivers.needs import Login, Needs, ReadFile
from kokino.agents.drivers.stream_json import StreamJsonReader

#: A program of its own, never imported: it is found by its place in the package.
PROGRAM = Path(kokino.__file__).parent / "testing" / "scripted.py"


@dataclass(frozen=True, slots=True)
class LoginWord:
    """The file whose word stands for a login, where a CLI type names one; without it none is needed."""

    def find(self, env: Mapping[str, str], read: ReadFile) -> Login | None:
        """Found, be it with a fault."""
        name = env.get("KOKINO_SCRIPTED_LOGIN")
        if not name:
            return Login(where="itself: no KOKINO_SCRIPTED_LOGIN is set, so none is asked for")
        word = read(Path(name))
        if word is None:
            return Login(where=name, fault="does not exist", mend=_writing(name))
        if b"expired" in word:
            return Login(where=name, fault="has expired: it holds that word", mend=_writing(name))
        return Login(where=name)


def _writing(name: str) -> str:
    """The command that makes the file a login."""
    return f"echo valid > {shlex.quote(name)}"


class Scripted:
    """Drives the scripted agent with the Python that runs the broker, isolated and without site packages."""

    name = "scripted"
    default_command: tuple[str, ...] = (sys.executable, "-I", "-S", str(PROGRAM))
    needs = Needs(logins=(LoginWord(),))

    def command(self, invocation: Invocation) -> Command:
        """As Claude Code is started, prompt on standard input."""
        return Command(argv=arguments(invocation), stdin=invocation.prompt_file)

    def reader(self, resumes: str | None = None) -> Reader:
        """A fresh reader of the stream-json dialect."""
        return StreamJsonReader(resumes)

    def skips_permissions(self, flags: Sequence[str]) -> bool:
        """By the arguments of Claude Code that it takes."""
        return skips_permissions(flags)
