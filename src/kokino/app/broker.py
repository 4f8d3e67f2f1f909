"""The composition root: builds every part from one configuration, starts in order, stops in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import httpx
import structlog


from kokino.agents import store as agent_store
from kokino.agents.service import Agents
from kokino.alerts import rulefile
from kokino.alerts.module import AlertRules
from kokino.api.app import create_api
from kokino.api.guard import Rules, is_loopback
from kokino.api.services import INCIDENTS, Services
from kokino.app.server import Listening, bind
from kokino.app.settings import Checked, check, database_url
from kokino.clock import Clock, SystemClock
from kokino.config import Config
from kokino.engine.loop import Engine
from kokino.engine.module import Module
from kokino.escalation import policy
from kokino.escalation.acknowledge import Acknowledgements
from kokino.escalation.desk import Desk
from kokino.escalation.module import Escalations
from kokino.executions.local import LocalDispatch
from kokino.executions.model import Execution
from kokino.executions.probes import Probes
from kokino.executions.runner import Runner
from kokino.executions.service import Executions
from kokino.executions.watch import Watch
from kokino.ids import Ids, RandomIds
from kokino.incidents.documents import IncidentDocuments
from kokino.incidents.module import Incidents
from kokino.notify import channels
from kokino.notify.module import Deliveries
from kokino.playbooks.course import Course
from kokino.playbooks.execute import StepRunner
from kokino.playbooks.library import Library, load_library
from kokino.playbooks.module import PlaybookRuns
from kokino.process.client import Warden
from kokino.slo.defaults import defaults
from kokino.storage import Storage, open_storage
from kokino.storage.installation import identity
from kokino.tokens import Tokens

log = structlog.get_logger(__name__)

#: How often a stop looks whether everything has ended, in seconds.
DRAIN_STEP = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a broker stands on: replaced in tests, drills and demonstrations."""

    clock: Clock
    ids: Ids
    environment: Mapping[str, str]


@dataclass(slots=True, kw_only=True)
class Broker:
    """A running broker. Made by `start`, ended by `stop`; leaving its scope stops it at once."""

    checked: Checked
    services: Services
    dispatch: LocalDispatch
    engine: Engine
    #: Where it answers: ``http://127.0.0.1:5050``.
    url: str
    listening: Listening
    client: httpx.AsyncClient

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
    ) -> Self:
        """Check the configuration, open everything in order, and answer.

        `host` and `port` go before the configuration's. Raises `ConfigInvalid`, `CannotListen`, `StorageError` or
        `ProcessError`; then nothing is left open.
        """
        ground = Ground(
            clock=clock or SystemClock(),
            ids=ids or RandomIds(),
            environment=dict(os.environ if environment is None else environment),
        )
        checked = check(config, ground.environment, now=ground.clock.now())
        async with contextlib.AsyncExitStack() as opened:
            listener = opened.enter_context(
                bind(host or checked.server.host, checked.server.port if port is None else port)
            )
            broker = cls(**await _build(checked, ground, listener, opened))
            await broker._begin()
            opened.pop_all()
        log.info("the broker answers", url=broker.url, home=str(config.home))
        return broker

    @property
    def is_idle(self) -> bool:
        """Nothing runs, and nothing is due before time passes or somebody asks."""
        return self.dispatch.is_idle and self.engine.is_idle

    async def stop(self, *, drain: timedelta | None = None) -> None:
        """Accept nothing more, wait `drain` for what runs, end the rest, then close everything."""
        self.services.executions.close()
        await self.dispatch.drain()
        await self._drained((self.checked.server.drain if drain is None else drain).total_seconds())
        await self.services.executions.runner.stop()
        await self.engine.stop()
        await self.listening.stop()
        await self.services.warden.close()
        await self.client.aclose()
        await self.services.storage.close()
        log.info("the broker has stopped")

    async def _begin(self) -> None:
        """Take over what an earlier broker left, then answer: the first request finds everything at work."""
        await self.services.storage.write(
            lambda conn: agent_store.take_configured(conn, self.checked.agents)
        )
        await self.dispatch.start()
        await self.engine.start()
        await self.listening.start()

    async def _drained(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.services.executions.runner.in_flight:
                    await asyncio.sleep(DRAIN_STEP)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop(drain=timedelta(0))


async def _build(
    checked: Checked, ground: Ground, listener: socket.socket, opened: contextlib.AsyncExitStack
) -> dict[str, Any]:
    """Every part, wired. What is opened on the way is closed again by `opened` if a later part fails."""
    home = checked.config.home
    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    storage = await open_storage(database_url(checked, ground.environment))
    opened.push_async_callback(storage.close)
    warden = await Warden.attach(runtime_folder(home, ground.environment), hold=checked.process.hold)
    opened.push_async_callback(warden.close)
    client = channels.open_client()
    opened.push_async_callback(client.aclose)
    installation = await storage.write(lambda conn: identity(conn, ground.ids.uuid()))
    bells = Bells()
    watch = Watch()
    runner = Runner(
        storage=storage,
        clock=ground.clock,
        ids=ground.ids,
        warden=warden,
        watch=watch,
        cli_types=checked.cli_types,
        spool=home / "broker" / "spool",
        environment=checked.environment,
        on_end=bells.ended,
    )
    dispatch = LocalDispatch(
        storage=storage,
        clock=ground.clock,
        runner=runner,
        capacity=checked.process.executions,
        on_end=bells.ended,
    )
    executions = Executions(
        storage=storage,
        clock=ground.clock,
        ids=ground.ids,
        runner=runner,
        dispatch=dispatch,
        watch=watch,
        on_end=bells.ended,
    )
    probes = Probes(storage, executions, checked.cli_types, folder=home / "broker" / "probes")
    tokens = Tokens.open(home / "broker" / "token.key")
    library = load_library(home)
    desk = _desk(checked, installation, url)
    engine = Engine(
        ground.clock,
        _modules(checked, ground, storage, warden, tokens, library, desk, probes, client, url, bells),
    )
    bells.dispatch, bells.engine = dispatch, engine
    services = Services(
        home=home,
        storage=storage,
        clock=ground.clock,
        ids=ground.ids,
        cli_types=checked.cli_types,
        agents=Agents(storage=storage, clock=ground.clock, cli_types=checked.cli_types, on_change=bells.changed),
        executions=executions,
        probes=probes,
        acknowledgements=Acknowledgements(storage, desk),
        desk=desk,
        warden=warden,
        engine=engine,
        objectives=defaults(),
        rules={rule.id: rule for rule in rulefile.packaged()},
        playbooks=library,
        tokens=tokens,
        environment=checked.environment,
        public_url=desk.public_url,
        started_at=ground.clock.now(),
    )
    api = create_api(services, _rules(checked, ground, tokens, host))

    return {
        "checked": checked,
        "services": services,
        "dispatch": dispatch,
        "engine": engine,
        "url": url,
        "listening": Listening(api, listener),
        "client": client,
    }


def _modules(
    checked: Checked,
    ground: Ground,
    storage: Storage,
    warden: Warden,
    tokens: Tokens,
    library: Library,
    desk: Desk,
    probes: Probes,
    client: httpx.AsyncClient,
    url: str,
    bells: Bells,
) -> tuple[Module, ...]:
    """The engine's modules, in the order in which one's effect is the next one's work."""
    home, objectives = checked.config.home, defaults()
    steps = StepRunner(
        warden=warden,
        clock=ground.clock,
        ids=ground.ids,
        tokens=tokens,
        environment=checked.environment,
        home=home,
        spool=home / "broker" / "spool",
        url=lambda: url,
    )
    course = Course(storage=storage, clock=ground.clock, runner=steps)
    return (
        probes,
        AlertRules(storage, ground.ids, rulefile.packaged(), objectives),
        Incidents(storage, desk.rules, availability=objectives.availability),
        Escalations(storage, desk),
        PlaybookRuns(storage, ground.ids, library, course, wake=bells.wake),
        Deliveries(
            storage,
            ground.clock,
            channels.build(checked.routing, client=client, clock=ground.clock),
            bells.wake,
            random.Random(),  # noqa: S311 - spreads retries, guards nothing
        ),
        IncidentDocuments(
            storage, home / INCIDENTS, zone=ZoneInfo(checked.calendar.timezone), availability=objectives.availability
        ),
    )


def _desk(checked: Checked, installation: str, url: str) -> Desk:
    return Desk(
        rules={rule.id: rule for rule in rulefile.packaged()},
        policies=policy.packaged(),
        routing=checked.routing,
        installation=installation,
        public_url=checked.server.public_url or url,
    )


def _rules(checked: Checked, ground: Ground, tokens: Tokens, host: str) -> Rules:
    """Who may ask: on loopback this machine's user, elsewhere only who has a token."""
    names = ["localhost", "127.0.0.1", "::1", host]
    if checked.server.public_url is not None:
        names.append(urlsplit(checked.server.public_url).hostname or host)
    return Rules(
        hosts=tuple(dict.fromkeys(names)),
        is_token_required=checked.server.auth == "required" or not is_loopback(host),
        tokens=tokens,
        now=ground.clock.now,
    )


@dataclass(slots=True)
class Bells:
    """Who is woken by what. The parts are made before those that they wake."""

    dispatch: LocalDispatch | None = None
    engine: Engine | None = None

    def wake(self) -> None:
        """Something that only the engine waits for."""
        if self.engine is not None:
            self.engine.wake()

    def changed(self) -> None:
        """Something that may let executions run."""
        if self.dispatch is not None:
            self.dispatch.wake()
        self.wake()

    def ended(self, _execution: Execution) -> None:
        """An execution ended: its agent is free, and an alert may have to fire."""
        self.changed()


def runtime_folder(home: Path, environment: Mapping[str, str]) -> Path:
    """Where the warden's socket lies: short enough for a socket path, private, and the home's own."""
    base = environment.get("XDG_RUNTIME_DIR")
    root = Path(base) / "kokino" if base else Path(tempfile.gettempdir()) / f"kokino-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    return root / hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:16]
