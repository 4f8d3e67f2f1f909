"""A broker for as long as this process has one: it runs until a signal says what comes next."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import structlog

from kokino.app.broker import Broker
from kokino.app.handover import (
    SIGNALS,
    STANDING_VARIABLE,
    Handover,
    RestartRefused,
    check_next,
    hear_signals,
    hold_signals,
)
from kokino.app.settings import Checked, check, database_url
from kokino.app.standing import Standing, differences
from kokino.clock import SystemClock
from kokino.config import FILE_NAME, Config, load
from kokino.doctor.looks import diagnose
from kokino.errors import KokinoError
from kokino.storage import check_opens, check_url

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the command line asks for."""

    home: Path
    #: Before the configuration's; None leaves it to that.
    host: str | None
    port: int | None

    def standing(self, checked: Checked) -> Standing:
        """What a broker that is wanted so has to share with the one before it."""
        return Standing.of(checked, os.environ, host=self.host, port=self.port)


@dataclass(slots=True)
class Serving:
    """One broker from its start until the process ends or goes on as the next one."""

    wanted: Wanted
    #: Told where the broker answers.
    say: Callable[[str], None]
    #: Signals that nobody has acted upon yet.
    unheard: list[signal.Signals] = field(default_factory=list)
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> Handover | None:
        """Serve; what the next broker is to get, or None when the process shall end.

        Raises `ConfigInvalid`, `CannotListen`, `StorageError` or `ProcessError` when it cannot start.
        """
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._note, number)
        handover = Handover.taken(os.environ)
        hear_signals()
        broker = await self._started(handover)
        while (number := await self._next()) is signal.SIGUSR2:
            if await self._may_restart(broker) and not self.unheard:
                left = await broker.hand_over()
                hold_signals()
                return left
        await broker.stop(drain=timedelta(0) if number is signal.SIGINT else None)
        return None

    async def _started(self, handover: Handover | None) -> Broker:
        wanted = self.wanted
        broker = await Broker.start(load(wanted.home), host=wanted.host, port=wanted.port, handover=handover)
        self.say(broker.url)
        return broker

    async def _may_restart(self, broker: Broker) -> bool:
        """True when what would come next can go on; else the reason is logged, and shown by the API."""
        try:
            await check_next(self.wanted.standing(broker.checked))
        except RestartRefused as error:
            log.error("restart refused; the broker goes on as it is", reason=error.message)  # noqa: TRY400
            broker.refuse_restart(error.message)
            return False
        return True

    def _note(self, number: signal.Signals) -> None:
        self.unheard.append(number)
        self._came.set()

    async def _next(self) -> signal.Signals:
        while not self.unheard:
            self._came.clear()
            await self._came.wait()
        return self.unheard.pop(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Good:
    """A configuration that a broker can start with."""

    #: Which one it is.
    sentence: str
    #: Agents that cannot run with it as things are.
    warnings: tuple[str, ...]


def check_wanted(wanted: Wanted) -> Good:
    """Check the configuration and the database, and start nothing.

    Raises `ConfigInvalid`, `StorageError` for a database that cannot be opened, damaged for one, and
    `KokinoError` for a home that can be none. A broker that asks for a restart leaves its standing in the
    environment: then `RestartRefused` tells what a restart cannot change.
    """
    _check_home(wanted.home)
    config = load(wanted.home)
    checked = check(config, os.environ, now=SystemClock().now())
    url = database_url(checked, os.environ)
    check_url(url)
    before = os.environ.get(STANDING_VARIABLE)
    if before and (changed := differences(before, wanted.standing(checked))):
        raise RestartRefused(
            f"a restart cannot change {', '.join(changed)}: stop the broker and start it anew"
        )
    check_opens(url)
    return Good(sentence=f"the configuration is good: {_source(config)}", warnings=tuple(_warnings(checked)))


def _check_home(home: Path) -> None:
    nearest = next(path for path in (home, *home.parents) if path.exists())
    if not nearest.is_dir():
        why = f"{nearest} is no folder"
    elif not os.access(nearest, os.W_OK | os.X_OK):
        why = f"{nearest} may not be written"
    else:
        return
    raise KokinoError(f"{home} cannot be a home: {why}; choose another folder with --home or $KOKINO_HOME")


def _source(config: Config) -> str:
    if config.file is not None:
        return str(config.file)
    if config.home.exists():
        return f"no {FILE_NAME} in {config.home}, so the defaults"
    return f"{config.home} does not exist and would be made, with the defaults"


def _warnings(checked: Checked) -> Iterator[str]:
    now = SystemClock().now()
    for name in sorted({agent.cli_type for agent in checked.agents}):
        found = diagnose(
            checked.cli_types[name], checked.agents, checked.environment, checked.config.home, now=now
        )
        yield from (f"{name}: {one.message}" for one in found.failed)
