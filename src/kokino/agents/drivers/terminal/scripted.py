"""The scripted agent in a terminal: it draws as Claude Code does, and writes its records where it is told."""

from __future__ import annotations

from pathlib import Path

from kokino.agents.drivers.claude_code import session_arguments
from kokino.agents.drivers.contract import Command, Invocation, Look, Reader, Surroundings
from kokino.agents.drivers.stream_json import StreamJsonReader
from kokino.agents.drivers.terminal.claude_code import look_at


class ScriptedTerminal:
    """Drives the scripted agent's interactive form."""

    quit: tuple[str, ...] = ("C-c", "C-c")
    stop: tuple[str, ...] = ("Escape",)
    commands = ""

    def command(self, invocation: Invocation) -> Command:
        """The same arguments without ``-p``, and the file for its records."""
        own = ("--interactive", "--records", str(invocation.records_file))
        argv = (*invocation.command, *session_arguments(invocation), *own, *invocation.flags)
        return Command(argv=argv, stdin=None)

    def records(self, invocation: Invocation, surroundings: Surroundings) -> Path | None:
        """The file that it was told."""
        return invocation.records_file

    def reader(self, resumes: str | None = None) -> Reader:
        """A fresh reader of the stream-json dialect."""
        return StreamJsonReader(resumes)

    def look(self, screen: str) -> Look:
        """As Claude Code's."""
        return look_at(screen)
