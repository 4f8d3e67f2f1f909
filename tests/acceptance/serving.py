"""`kokino serve` as people run it: a process of its own with a home folder of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from kokino.config import FILE_NAME
from kokino.process.spawn import EXECUTION_VARIABLE

#: The program that `make run` starts.
KOKINO = Path(sys.executable).with_name("kokino")
#: Far longer than anything here takes, in seconds.
PATIENCE = 60.0
ANSWERS = "Kokino answers at "


@dataclass(slots=True)
class Served:
    """A broker in a process of its own; a second `start` finds what the first one left in the home."""

    home: Path
    #: Options after ``--home``.
    options: tuple[str, ...] = ("--port", "0")
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    _http: httpx.Client | None = None

    @property
    def http(self) -> httpx.Client:
        """A client whose paths are the broker's."""
        assert self._http is not None, "it answers after `start`"
        return self._http

    @property
    def said(self) -> str:
        """Everything that it wrote to its terminal, over all its starts."""
        return self._terminal.read_text(encoding="utf-8") if self._terminal.exists() else ""

    @property
    def _terminal(self) -> Path:
        return self.home.with_name(f"{self.home.name}.terminal")

    def launch(self) -> subprocess.Popen[bytes]:
        """Start it and do not wait until it answers."""
        self.home.mkdir(parents=True, exist_ok=True)
        with self._terminal.open("ab") as terminal:
            self.process = subprocess.Popen(
                [str(KOKINO), "serve", "--home", str(self.home), *self.options],
                env={**os.environ, "HOME": str(self.home), **self.environment},
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=terminal,
                stderr=terminal,
            )
        return self.process

    def start(self) -> Served:
        """Start it; return once it answers."""
        before = self.said.count(ANSWERS)
        process = self.launch()
        until(lambda: self.said.count(ANSWERS) > before or process.poll() is not None)
        assert process.poll() is None, f"the broker did not start:\n{self.said}"
        url = self.said.rpartition(ANSWERS)[2].split()[0]
        self._http = httpx.Client(base_url=url, timeout=PATIENCE)
        return self

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        assert self.process is not None
        if self._http is not None:
            self._http.close()
            self._http = None
        return self.process.wait(PATIENCE)

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send it a signal that ends it; its exit code."""
        self.send(number)
        return self.wait()

    def get(self, path: str) -> Any:
        """The JSON at `path`; raises for an answer that is an error."""
        answer = self.http.get(path)
        answer.raise_for_status()
        return answer.json()

    def execute(self, agent_id: str, prompt: str = "Say hello.") -> httpx.Response:
        """Run a prompt and wait for its end."""
        return self.http.post(f"/agents/{agent_id}/execute", json={"prompt": prompt})

    def accept(self, agent_id: str, prompt: str) -> str:
        """Have a prompt accepted; the id of its execution."""
        answer = self.http.post(
            f"/agents/{agent_id}/execute", json={"prompt": prompt}, headers={"Prefer": "respond-async"}
        )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["executionId"])

    def ended(self, execution_id: str) -> Any:
        """The execution, once it has ended."""
        until(lambda: self.get(f"/executions/{execution_id}")["endedAt"] is not None)
        return self.get(f"/executions/{execution_id}")


@contextmanager
def serving(home: Path, toml: str, *, options: tuple[str, ...] = ("--port", "0")) -> Iterator[Served]:
    """A running broker, and nothing of it after the block."""
    home.mkdir(parents=True, exist_ok=True)
    (home / FILE_NAME).write_text(toml, encoding="utf-8")
    served = Served(home, options)
    try:
        yield served.start()
    finally:
        if served.process is not None and served.process.poll() is None:
            served.end()


def until(condition: Callable[[], bool]) -> None:
    """Return once `condition` holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def processes_of(executions: set[str]) -> list[psutil.Process]:
    """Every process that says that it belongs to one of these executions."""
    return [found for found in psutil.process_iter() if _execution(found) in executions]


def _execution(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(EXECUTION_VARIABLE)
    except (psutil.Error, OSError):
        return None
