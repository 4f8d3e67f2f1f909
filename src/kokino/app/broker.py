"""A broker: opened and started in order, stopped in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self

import structlog
from fastapi import FastAPI

from kokino import web
from kokino.agents import roster
from kokino.agents.drivers import registry
from kokino.api.services import Services
from kokino.app.ground import Ground, World, open_ground
from kokino.app.handover import Handover
from kokino.app.server import Listening
from kokino.app.settings import Checked, check
from kokino.app.wiring import wire
from kokino.clock import Clock, SystemClock
from kokino.config import Config
from kokino.doctor.looks import diagnose
from kokino.executions.local import LocalDispatch
from kokino.ids import Ids, RandomIds

log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class Broker:
    """A running broker. Made by `start`, ended by `stop`; leaving its scope stops it at once."""

    checked: Checked
    ground: Ground
    services: Services
    dispatch: LocalDispatch
    app: FastAPI
    listening: Listening
    opened: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    @classmethod
    async def start(
        cls,
        config: Config,
        *,
        clock: Clock | None = None,
        ids: Ids | None = None,
        environment: Mapping[str, str] | None = None,
        host: str | None = None,
        port: int | None = None,
        handover: Handover | None = None,
    ) -> Self:
        """Check the configuration, open everything in order, and answer.

        `host` and `port` go before the configuration's; `handover` is what the last broker in this process
        has left. Raises `ConfigInvalid`, `CannotListen`,
        `StorageError` or `ProcessError`; then nothing is left open.
        """
        world = World(
            clock=clock or SystemClock(),
            ids=ids or RandomIds(),
            environment=dict(os.environ if environment is None else environment),
        )
        checked = check(config, world.environment, now=world.clock.now())
        registry.load(cli_type.driver for cli_type in checked.cli_types.values())
        listener = None if handover is None else handover.listener
        ground = await open_ground(checked, world, host=host, port=port, listener=listener)
        async with contextlib.AsyncExitStack() as opened:
            opened.push_async_callback(ground.close)
            services, dispatch, app = wire(checked, ground)
            broker = cls(
                checked=checked,
                ground=ground,
                services=services,
                dispatch=dispatch,
                app=app,
                listening=Listening(app, ground.listener),
            )
            broker._will_stop(opened)
            if handover is not None:
                services.restarts.done(handover.executions, handover.lost, at=world.clock.now())
            await broker._begin()
            broker.opened = opened.pop_all()
        log.info("the broker answers", url=broker.url, home=str(config.home))
        return broker

    @property
    def url(self) -> str:
        """Where it answers: ``http://127.0.0.1:5050``."""
        return self.ground.url

    @property
    def is_idle(self) -> bool:
        """Nothing runs, and nothing is due before time passes or somebody asks."""
        return self.dispatch.is_idle and self.services.engine.is_idle

    async def stop(self, *, drain: timedelta | None = None) -> None:
        """Accept nothing more, wait `drain` for what runs, end the rest, then close everything.

        What cannot be stopped does not keep the rest from it.
        """
        self.services.executions.close()
        await self.dispatch.drain()
        await self._drained(self.checked.server.drain if drain is None else drain)
        await self.opened.aclose()
        log.info("the broker has stopped")

    async def hand_over(self) -> Handover:
        """Let go of everything but the socket and the executions: the next broker goes on with both.

        A playbook's step that runs may end first, for `server.drain` at the most: a repair that was cut in
        half would be nobody's any more. Until then requests, executions, alerts and escalation go on; the
        next broker begins the steps and deliveries that are due meanwhile.
        """
        await self.services.doctor.stop()  # a CLI that hangs must not keep the restart waiting
        await self.services.engine.settle(self.checked.server.drain)
        self.opened.pop_all()  # nothing of it is to be stopped
        runner = self.services.executions.runner
        try:
            async with contextlib.AsyncExitStack() as leaving:
                self._will_leave(leaving)
        except Exception:  # the next program's start takes away what could not be let go of in order
            log.exception("not everything could be let go of")
        log.info("the broker makes room for the next one", executions=runner.released)
        for bound in runner.lost:
            log.warning("an execution ends with this broker", execution=bound.execution_id, by=bound.by.value)
        return Handover(listener=self.ground.listener, executions=runner.released, lost=runner.lost)

    def _will_leave(self, leaving: contextlib.AsyncExitStack) -> None:
        """How each part lets go, the last one first: who waits for an answer is told before all else ends."""
        leaving.push_async_callback(self.ground.release)
        leaving.push_async_callback(self.services.executions.runner.release)
        leaving.push_async_callback(self.dispatch.drain)
        leaving.push_async_callback(self.services.supervision.stop)
        leaving.push_async_callback(self.services.engine.stop)
        leaving.push_async_callback(self.listening.leave)
        leaving.push_async_callback(web.stop, self.app)
        leaving.callback(self.services.executions.watch.close)

    def refuse_restart(self, reason: str) -> None:
        """Note that a restart was asked for and cannot be."""
        self.services.restarts.refused(reason, at=self.services.clock.now())

    def _will_stop(self, opened: contextlib.AsyncExitStack) -> None:
        """How each part stops, the last one first: callers get their answers before the socket is closed."""
        opened.push_async_callback(self.listening.stop)
        opened.push_async_callback(web.stop, self.app)
        opened.push_async_callback(self.services.supervision.stop)
        opened.push_async_callback(self.services.engine.stop)
        opened.push_async_callback(self.services.executions.runner.stop)
        opened.push_async_callback(self.dispatch.drain)

    async def _begin(self) -> None:
        """Take over what an earlier broker left, then answer: the first request finds everything at work."""
        now = self.services.clock.now()
        await self.services.storage.write(
            lambda conn: roster.take_configured(conn, self.checked.agents, now=now)
        )
        await self._warn_of_environment()
        await self.dispatch.start()
        await self.services.engine.start()
        await self.listening.start()

    async def _warn_of_environment(self) -> None:
        """Say now what the first prompt would run into."""
        config, now = self.checked.config, self.services.clock.now()
        if config.file is None:
            log.warning("there is no kokino.toml: no agent is configured", home=str(config.home))
        if self.checked.doctor.at_start:
            return  # the doctor is about to look closer
        for cli_type in sorted({agent.cli_type for agent in self.checked.agents}):
            found = diagnose(
                self.checked.cli_types[cli_type],
                self.checked.agents,
                self.checked.environment,
                config.home,
                now=now,
            )
            for check_ in found.failed:
                log.warning("an agent cannot run", cli_type=cli_type, reason=check_.message)

    async def _drained(self, longest: timedelta) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(longest.total_seconds()):
                await self.services.executions.runner.settled()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop(drain=timedelta(0))
