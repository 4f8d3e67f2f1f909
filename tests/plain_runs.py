"""Runs a driver's command as a plain subprocess: no broker, no warden, nothing in between."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kokino.agents.drivers.contract import Command, Driver, Exit, Invocation, Outcome
from kokino.agents.drivers.record_reader import RecordReader

#: Long past any of these runs; it ends a test that would hang.
DEADLINE_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one plain run came to."""

    outcome: Outcome
    reader: RecordReader
    exit: Exit
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A driver with what it is run in."""

    driver: Driver
    command: tuple[str, ...]
    folder: Path
    #: The whole environment; nothing is inherited.
    env: Mapping[str, str]

    def run(
        self, prompt: str, session_id: str, *, is_resume: bool = False, flags: tuple[str, ...] = ()
    ) -> Run:
        """Run one prompt to its end."""
        command = self.invoke(prompt, session_id, is_resume=is_resume, flags=flags)
        process = self.start(command)
        process.wait(DEADLINE_S)
        return self.read(process, resumes=session_id if is_resume else None)

    def invoke(
        self, prompt: str, session_id: str, *, is_resume: bool = False, flags: tuple[str, ...] = ()
    ) -> Command:
        """The driver's command for a prompt."""
        prompt_file = self.folder / "prompt"
        prompt_file.write_text(prompt, "utf-8")
        return self.driver.command(
            Invocation(
                agent_id="plain",
                command=self.command,
                flags=flags,
                session_id=session_id,
                is_resume=is_resume,
                prompt_file=prompt_file,
            )
        )

    def start(self, command: Command) -> subprocess.Popen[bytes]:
        """Start it with files for its output, which never stall it and outlive it."""
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        assert command.stdin is not None
        with (
            command.stdin.open("rb") as stdin,
            (self.folder / "stdout").open("wb") as stdout,
            (self.folder / "stderr").open("wb") as stderr,
        ):
            env = {**self.env, **command.env}
            return subprocess.Popen(
                command.argv, stdin=stdin, stdout=stdout, stderr=stderr, env=env, cwd=work
            )

    def output(self) -> bytes:
        """What the run has written to standard output so far."""
        return (self.folder / "stdout").read_bytes()

    def read(self, process: subprocess.Popen[bytes], *, resumes: str | None = None) -> Run:
        """Judge a run that has ended; `resumes` is the session that it was asked to go on with."""
        code = process.returncode
        exit_ = Exit(signal=-code) if code < 0 else Exit(code=code)
        stdout, stderr = self.output(), (self.folder / "stderr").read_bytes()
        reader = self.driver.reader(resumes)
        assert isinstance(reader, RecordReader)
        for line in stdout.split(b"\n"):
            reader.stdout(line)
        for line in stderr.split(b"\n"):
            reader.stderr(line)
        return Run(outcome=reader.outcome(exit_), reader=reader, exit=exit_, stdout=stdout, stderr=stderr)
