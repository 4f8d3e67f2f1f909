"""The doctor at work: at the start, each hour, sooner while something is unwell, and on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from kokino.agents import store as agent_store
from kokino.agents.model import Agent, CliType
from kokino.clock import Clock
from kokino.doctor import store
from kokino.doctor.examiner import Examiner
from kokino.doctor.looks import chosen
from kokino.doctor.model import Diagnosis
from kokino.doctor.trial import untried
from kokino.errors import KokinoError, Unavailable
from kokino.storage import Storage
from kokino.tasks import Tasks

log = structlog.get_logger(__name__)

#: What a look that starts nothing says of the dry run.
NOT_ASKED_FOR = untried("nobody has asked for it with POST /api/health/environment yet")


class Doctor:
    """Looks at the CLI types that agents use and writes down what it finds.

    One that no agent uses is looked at when somebody asks, and nothing is written down: nobody suffers.
    """

    name = "doctor"

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        cli_types: Mapping[str, CliType],
        examiner: Examiner,
        *,
        on_change: Callable[[], None],
    ) -> None:
        """`on_change` is called when events were written that an alert may wait for, and after a round."""
        self._storage = storage
        self._clock = clock
        self._cli_types = cli_types
        self._examiner = examiner
        self._settings = examiner.settings
        self._on_change = on_change
        self._tasks = Tasks()
        self._round: asyncio.Task[None] | None = None
        self._due_at: datetime | None = None
        self._is_closed = False
        #: What is looked at just now, by CLI type: whoever asks meanwhile gets the same answer.
        self._running: dict[str, asyncio.Task[Diagnosis]] = {}

    @property
    def in_flight(self) -> int:
        """How much is looked at, or written down, at this moment."""
        return self._tasks.in_flight

    async def run(self, now: datetime) -> datetime | None:
        """Begin a round when it is due; when the next one is."""
        if self._is_closed:
            return None
        if self._due_at is None:
            self._due_at = await self._first_due_at(now)
        if self._due_at <= now and (self._round is None or self._round.done()):
            self._due_at = now + self._settings.every
            self._round = self._tasks.start(self._go_round(), name="round of the doctor")
        return self._due_at

    async def stop(self) -> None:
        """End what is under way, with every CLI that is tried out, and look at nothing more."""
        self._is_closed = True
        await self._tasks.stop()

    async def latest(self, cli: str | None) -> list[Diagnosis]:
        """What is known of the CLI type `cli`, or of all that agents use.

        What nothing is known of yet is waited for where it is looked at just now, else looked at without
        being started: whoever only reads starts nothing. Raises `NotFound` for a name that is none.
        """
        agents, known = await self._storage.read(_agents_and_known)
        names = chosen(self._cli_types, agents, cli)
        return [known.get(name) or await self._first(name, agents) for name in names]

    async def look(self, cli: str | None) -> list[Diagnosis]:
        """Look now, or get the outcome of a look that goes on. Raises `NotFound` for a name that is none."""
        agents = await self._storage.read(agent_store.everyone)
        return await self._looked(chosen(self._cli_types, agents, cli), agents)

    async def _first(self, name: str, agents: Sequence[Agent]) -> Diagnosis:
        if name in self._running:
            [diagnosis] = await self._looked([name], agents)
            return diagnosis
        return await self._examiner.glance(
            self._cli_types[name], agents, self._clock.now(), not_tried=NOT_ASKED_FOR
        )

    async def _first_due_at(self, now: datetime) -> datetime:
        if self._settings.at_start:
            return now
        known = await self._storage.read(store.everything)
        last = max((one.checked_at for one in known.values()), default=now)
        return last + self._settings.every

    async def _go_round(self) -> None:
        """Look at all of them; sooner again where one is unwell, or where the round could not be ended."""
        is_well = False
        try:
            agents = await self._storage.read(agent_store.everyone)
            used = chosen(self._cli_types, agents, None)
            now = self._clock.now()
            await self._storage.write(lambda conn: store.forget_others(conn, used, now))
            found = await self._looked(used, agents)
            is_well = all(diagnosis.passed for diagnosis in found)
        except KokinoError as error:
            log.warning("the doctor could not end its round", reason=error.message)
        finally:
            self._due_at = self._clock.now() + self._pause(is_well=is_well)
            self._on_change()

    def _look_again_after(self, diagnosis: Diagnosis) -> None:
        """Whoever found that one is unwell, it is looked at again soon."""
        if self._due_at is not None and not diagnosis.passed:
            self._due_at = min(self._due_at, diagnosis.checked_at + self._pause(is_well=False))

    def _pause(self, *, is_well: bool) -> timedelta:
        return self._settings.every if is_well else min(self._settings.again, self._settings.every)

    async def _looked(self, names: Sequence[str], agents: Sequence[Agent]) -> list[Diagnosis]:
        if self._is_closed:
            raise Unavailable("the broker stops or restarts", retry_after=timedelta(seconds=5))
        tasks = [self._running.get(name) or self._begin(name, agents) for name in names]
        try:
            # Shielded: that one caller goes away must not take the outcome from the others.
            return await asyncio.gather(*map(asyncio.shield, tasks))
        except asyncio.CancelledError:
            if any(task.cancelled() for task in tasks):
                raise Unavailable("the broker stops or restarts", retry_after=timedelta(seconds=5)) from None
            raise

    def _begin(self, name: str, agents: Sequence[Agent]) -> asyncio.Task[Diagnosis]:
        task = self._tasks.start(self._examined(name, agents), name=f"doctor of {name}")
        self._running[name] = task
        return task

    async def _examined(self, name: str, agents: Sequence[Agent]) -> Diagnosis:
        try:
            before = (await self._storage.read(store.everything)).get(name)
            diagnosis = await self._examiner.examine(self._cli_types[name], agents, self._clock.now(), before)
            if any(agent.cli_type == name for agent in agents):
                await self._storage.write(lambda conn: store.note(conn, diagnosis))
                self._look_again_after(diagnosis)
                self._on_change()
        finally:
            del self._running[name]
        for check in diagnosis.failed:
            log.warning("a CLI type is unwell", cli_type=name, check=check.name, reason=check.message)
        return diagnosis


def _agents_and_known(conn: Connection) -> tuple[list[Agent], dict[str, Diagnosis]]:
    return agent_store.everyone(conn), store.everything(conn)
