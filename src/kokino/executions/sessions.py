"""Sessions that nobody has used for a long time: which they are, and how they are forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import structlog
from sqlalchemy import Connection

from kokino.agents import session_store
from kokino.agents import store as agent_store
from kokino.agents.model import OWN_AGENTS, Session
from kokino.clock import Clock
from kokino.conversations import store as conversation_store
from kokino.errors import NotFound
from kokino.executions import summary_store
from kokino.storage import Storage

log = structlog.get_logger(__name__)

#: The longest age that may be asked for: a hundred years, which can still be subtracted from today.
LONGEST_AGE = timedelta(days=36_525)
#: How often sessions are looked through.
INTERVAL = timedelta(hours=1)
#: Agents that a log line names.
NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSession:
    """A session, and what speaks for keeping it."""

    session: Session
    #: Turns of its conversation.
    turns: int
    #: An execution resumes or begins it at this moment.
    is_in_use: bool

    @property
    def key(self) -> tuple[str, str]:
        """What no two sessions share."""
        return self.session.agent_id, self.session.cli_type


class Fate(StrEnum):
    """What a look through the sessions does with one of them, and why."""

    FORGET = "not used for too long"
    KEEP_RECENT = "used lately"
    KEEP_IN_USE = "an execution uses it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleanup:
    """What a look through the sessions came to."""

    #: How long a session might stand unused.
    max_age: timedelta
    #: Forgotten; in a dry run, those that would have been.
    removed: Sequence[KnownSession]
    kept: int
    #: Those among the kept that are old enough and in use.
    kept_in_use: int


def decide(known: KnownSession, *, max_age: timedelta, now: datetime) -> Fate:
    """Whether a session is forgotten that may be unused for `max_age`."""
    if now - known.session.used_at < max_age:
        return Fate.KEEP_RECENT
    return Fate.KEEP_IN_USE if known.is_in_use else Fate.FORGET


def known_sessions(conn: Connection, agent_id: str | None = None) -> list[KnownSession]:
    """The sessions of all agents, or of one, by agent and CLI type, without the broker's own agents."""
    found = [
        session
        for session in session_store.everyone(conn)
        if agent_id in {None, session.agent_id} and not session.agent_id.startswith(OWN_AGENTS)
    ]
    turns = conversation_store.turn_counts(conn, [session.conversation_id for session in found])
    in_use = {(one.agent_id, one.cli_type) for one in summary_store.running(conn)}
    known = [
        KnownSession(
            session=session,
            turns=turns.get(session.conversation_id, 0),
            is_in_use=(session.agent_id, session.cli_type) in in_use,
        )
        for session in found
    ]
    return sorted(known, key=lambda one: one.key)


def forget_stale(
    conn: Connection,
    known: Sequence[KnownSession],
    *,
    max_age: timedelta,
    now: datetime,
    is_dry_run: bool = False,
) -> Cleanup:
    """Forget what was not used for `max_age`. Conversations and the vendor's own files stay.

    `known` must be read in the same transaction: else an execution may have begun between look and deed.
    """
    fates = [(one, decide(one, max_age=max_age, now=now)) for one in known]
    stale = [one for one, fate in fates if fate is Fate.FORGET]
    if not is_dry_run:
        for one in stale:
            session_store.forget(conn, *one.key)
    return Cleanup(
        max_age=max_age,
        removed=stale,
        kept=len(fates) - len(stale),
        kept_in_use=sum(fate is Fate.KEEP_IN_USE for _, fate in fates),
    )


@dataclass(slots=True, kw_only=True)
class Sessions:
    """What people ask of sessions."""

    storage: Storage
    clock: Clock
    #: How long a session may stand unused.
    max_age: timedelta

    async def everyone(self, agent_id: str | None = None) -> list[KnownSession]:
        """The sessions of all agents, or of one. Raises `NotFound` for an agent that nobody knows."""
        return await self.storage.read(lambda conn: _required(conn, agent_id))

    async def clean(
        self, *, max_age: timedelta | None = None, agent_id: str | None = None, is_dry_run: bool = False
    ) -> Cleanup:
        """Forget the stale sessions of all agents, or of one; `max_age` None is the configured one.

        The agent's next execution starts a fresh session. A dry run only tells which they are. Raises
        `NotFound` as `everyone` does.
        """
        now, longest = self.clock.now(), self.max_age if max_age is None else max_age

        def look(conn: Connection) -> Cleanup:
            known = _required(conn, agent_id)
            return forget_stale(conn, known, max_age=longest, now=now, is_dry_run=is_dry_run)

        return await (self.storage.read(look) if is_dry_run else self.storage.write(look))


def _required(conn: Connection, agent_id: str | None) -> list[KnownSession]:
    """The sessions. Raises `NotFound` for an agent that is not registered and left none."""
    known = known_sessions(conn, agent_id)
    if agent_id is not None and not known and agent_store.get(conn, agent_id) is None:
        raise NotFound(f"there is no agent {agent_id!r}, and no session of it; GET /agents lists agents")
    return known


class SessionSweep:
    """The engine's module that forgets stale sessions."""

    name = "sessions"

    def __init__(self, storage: Storage, max_age: timedelta) -> None:
        self._storage = storage
        self._max_age = max_age
        self._due_at: datetime | None = None

    async def run(self, now: datetime) -> datetime | None:
        """Forget what is old enough, once in an hour."""
        if self._due_at is None or self._due_at <= now:
            forgotten = await self._storage.write(lambda conn: self._forget(conn, now))
            self._due_at = now + INTERVAL
            if forgotten:
                _tell(forgotten)
        return self._due_at

    def _forget(self, conn: Connection, now: datetime) -> Sequence[KnownSession]:
        return forget_stale(conn, known_sessions(conn), max_age=self._max_age, now=now).removed


def _tell(forgotten: Sequence[KnownSession]) -> None:
    agents = sorted({one.session.agent_id for one in forgotten})
    log.info(
        "sessions that were not used for too long are forgotten",
        sessions=len(forgotten),
        agents=agents[:NAMED],
    )
