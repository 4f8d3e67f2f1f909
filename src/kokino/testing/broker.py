"""A whole broker in a box: real processes, a real database, real HTTP, and a clock that only you move."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from kokino.app import Broker
from kokino.app.handover import Handover
from kokino.app.recovery import url_of
from kokino.config import FILE_NAME, Faults, load
from kokino.log import start_logging
from kokino.notify.channels.http import trusted
from kokino.storage import file_of
from kokino.testing.clock import ManualClock
from kokino.testing.databases import place

#: Two CLI types and three agents, all scripted and in good health.
FLEET = """
[cli_types.claude-code]
driver = "scripted"
[cli_types.codex]
driver = "scripted"
[[agents]]
id = "writer"
cli_type = "claude-code"
cwd = "."
[[agents]]
id = "editor"
cli_type = "claude-code"
cwd = "."
[[agents]]
id = "reviewer"
cli_type = "codex"
cwd = "."
"""
#: CLI types are looked at when a test asks for it: each start of a CLI takes time.
NO_DOCTOR = """
[doctor]
at_start = false
every = "365d"
"""
#: Turns of the event loop in which a task that was woken gets to run. More than any chain of ours is long.
TURNS = 25
#: How long something may be in flight before a test is told that it hangs, in real seconds.
PATIENCE = 60.0


@dataclass(slots=True)
class TestBroker:
    """Use it as an async context manager. Time passes only when `fast_forward` says so."""

    #: Not a test by itself, whatever pytest makes of the name.
    __test__ = False

    home: Path
    toml: str = FLEET
    clock: ManualClock = field(default_factory=ManualClock)
    #: None: SQLite below the home.
    database_url: str | None = None
    #: Added to the environment that the broker sees.
    environment: Mapping[str, str] = field(default_factory=dict)
    _broker: Broker | None = None
    _http: httpx.AsyncClient | None = None

    @property
    def broker(self) -> Broker:
        """The broker itself."""
        assert self._broker is not None, "use it as an async context manager"  # noqa: S101
        return self._broker

    @property
    def http(self) -> httpx.AsyncClient:
        """A client whose paths are the broker's."""
        assert self._http is not None, "use it as an async context manager"  # noqa: S101
        return self._http

    @property
    def url(self) -> str:
        """Where it answers."""
        return self.broker.url

    async def start(self) -> Self:
        """Write the configuration and start; a second start finds what the first one left."""
        self.home.mkdir(parents=True, exist_ok=True)
        start_logging(self.home / "broker" / "logs" / "broker.log", to_terminal=False)
        doctor = "" if "[doctor]" in self.toml else NO_DOCTOR
        (self.home / FILE_NAME).write_text(self.toml + doctor, encoding="utf-8")
        await self._begin()
        return self

    async def restart(self) -> None:
        """Put another broker in the place of this one and hand over what runs, as ``kokino restart`` does."""
        await self.http.aclose()
        await self.take_over(await self.broker.hand_over())

    async def take_over(self, handover: Handover) -> None:
        """Start a broker that goes on with what the last one has handed over."""
        await self._begin(handover)

    async def _begin(self, handover: Handover | None = None) -> None:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.home), **self.environment}
        if self.database_url is not None:
            environment["KOKINO_DATABASE_URL"] = self.database_url
        config = load(self.home)
        place(file_of(url_of(config, environment, Faults())))
        self._broker = await Broker.start(
            config, clock=self.clock, environment=environment, port=0, handover=handover
        )
        self._http = httpx.AsyncClient(base_url=self._broker.url, timeout=PATIENCE, verify=trusted())

    async def stop(self) -> None:
        """Stop at once; everything durable stays in the home."""
        await self.http.aclose()
        await self.broker.stop(drain=timedelta(0))
        self._broker = self._http = None

    async def execute(self, agent_id: str, prompt: str = "Say hello.", **body: Any) -> httpx.Response:
        """Run a prompt and wait for its end."""
        return await self.http.post(f"/agents/{agent_id}/execute", json={"prompt": prompt, **body})

    async def get(self, path: str) -> Any:
        """The JSON at `path`; raises for an answer that is an error."""
        answer = await self.http.get(path)
        answer.raise_for_status()
        return answer.json()

    async def post(self, path: str, **body: Any) -> Any:
        """The JSON that posting there answers; raises for an answer that is an error."""
        answer = await self.http.post(path, json=body) if body else await self.http.post(path)
        answer.raise_for_status()
        return answer.json()

    async def settle(self) -> None:
        """Return when nothing is in flight: all that can happen without time passing has happened."""
        async with asyncio.timeout(PATIENCE):
            while not await self._is_quiet():
                await asyncio.sleep(0.005)

    async def fast_forward(self, **length: float) -> None:
        """Move time on by ``timedelta(**length)``, stopping at every instant at which something is due."""
        target = self.clock.now() + timedelta(**length)
        await self.settle()
        while (due := self.clock.next_wake()) is not None and due <= target:
            self.clock.move_to(max(due, self.clock.now()))
            await self.settle()
        self.clock.move_to(target)
        await self.settle()

    async def _is_quiet(self) -> bool:
        for _ in range(TURNS):
            if not self.broker.is_idle:
                return False
            await asyncio.sleep(0)
        return self.broker.is_idle

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._broker is not None:
            await self.stop()
