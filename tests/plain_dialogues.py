"""Speaks with an agent by a driver's dialogue over plain pipes: no broker, no warden, nothing in between."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kokino.agents.drivers.contract import Dialogue, Exit, Opening, Outcome
from kokino.agents.drivers.registry import driver_named
from kokino.agents.model import Permissions
from kokino.executions.output.lines import LineSplitter

#: Long past any of these runs; it ends a test that would hang.
DEADLINE_S = 60
#: Looked at after each line: a test may answer a permission here, or cancel.
Look = Callable[[Dialogue], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """What one dialogue came to."""

    outcome: Outcome
    dialogue: Dialogue
    exit: Exit
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AcpAgent:
    """An agent with what it is run in."""

    command: tuple[str, ...]
    #: Holds the working directory.
    folder: Path
    #: The whole environment; nothing is inherited.
    env: Mapping[str, str]
    permissions: Permissions = Permissions.ASK
    model: str | None = None

    @property
    def work(self) -> Path:
        """The working directory."""
        folder = self.folder / "work"
        folder.mkdir(exist_ok=True)
        return folder

    def talk(self, prompt: str, *, resumes: str | None = None, look: Look = lambda _: None) -> Talk:
        """One turn, from the first word to the exit."""
        dialogue = driver_named("acp").reader(resumes)
        assert isinstance(dialogue, Dialogue)
        dialogue.open(Opening(prompt=prompt, cwd=self.work, model=self.model, permissions=self.permissions))
        with (self.folder / "stderr").open("w+b") as stderr, self.start(stderr.fileno()) as process:
            overdue = threading.Timer(DEADLINE_S, process.kill)
            overdue.start()
            stdout = _follow(process, dialogue, look)
            code = process.wait()
            overdue.cancel()
            stderr.seek(0)
            said = stderr.read()
        for line in said.splitlines():
            dialogue.stderr(line)
        exit_ = Exit(signal=-code) if code < 0 else Exit(code=code)
        return Talk(
            outcome=dialogue.outcome(exit_), dialogue=dialogue, exit=exit_, stdout=stdout, stderr=said
        )

    def start(self, stderr: int) -> subprocess.Popen[bytes]:
        """The agent's process, with pipes for what it hears and says."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self.command, stdin=pipe, stdout=pipe, stderr=stderr, env=self.env, cwd=self.work, bufsize=0
        )


def _follow(process: subprocess.Popen[bytes], dialogue: Dialogue, look: Look) -> bytes:
    """Say what there is to say and hear what comes, until the agent's output ends."""
    assert process.stdin is not None
    assert process.stdout is not None
    splitter, heard = LineSplitter(), b""
    while True:
        if not process.stdin.closed:
            process.stdin.write(dialogue.to_send())
            if dialogue.is_final:
                process.stdin.close()
        chunk = process.stdout.read(65536)
        if not chunk:
            process.stdin.close()
            return heard
        heard += chunk
        for line in splitter.feed(chunk):
            dialogue.stdout(line.body)
            look(dialogue)
