"""The scripted agent that Kokino ships (docs/scripted-agent.md): Claude Code's arguments and dialect."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import kokino
from kokino.agents.drivers.claude_code import arguments, skips_permissions
from kokino.agents.drivers.contract import Command, Invocation, Reader
from kokino.agents.drivers.stream_json import StreamJsonReader

#: A program of its own, never imported: it is found by its place in the package.
PROGRAM = Path(kokino.__file__).parent / "testing" / "scripted_agent.py"


class Scripted:
    """Drives the scripted agent with the Python that runs the broker, isolated and without site packages."""

    name = "scripted"
    default_command: tuple[str, ...] = (sys.executable, "-I", "-S", str(PROGRAM))

    def command(self, invocation: Invocation) -> Command:
        """As Claude Code is started, prompt on standard input."""
        return Command(argv=arguments(invocation), stdin=invocation.prompt_file)

    def reader(self, resumes: str | None = None) -> Reader:
        """A fresh reader of the stream-json dialect."""
        return StreamJsonReader(resumes)

    def skips_permissions(self, flags: Sequence[str]) -> bool:
        """By the arguments of Claude Code that it takes."""
        return skips_permissions(flags)
