"""Look through the whole database, a portion at a time: nothing is held up, nothing is changed."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog
from sqlalchemy import Connection

from kokino.agents import lock_store, session_store
from kokino.conversations import fault_store as conversation_faults
from kokino.conversations.fault_store import Said
from kokino.errors import StorageError
from kokino.executions import fault_store as execution_faults
from kokino.executions import summary_store
from kokino.integrity import findings, order, store
from kokino.integrity.model import MOST_FINDINGS, MOST_IDS, Finding, Kind
from kokino.storage import Storage, amcheck, constraints, sqlitefile

log = structlog.get_logger(__name__)

#: Conversations of one portion: some milliseconds of a reader's time.
AT_ONCE = 200
#: Graver first.
_GRAVITY = tuple(Kind)


@dataclass(slots=True)
class Seen:
    """What a check has seen so far. Bounded, however much is wrong."""

    conversations: int = 0
    turns: int = 0
    total: int = 0
    counts: Counter[Kind] = field(default_factory=Counter)
    repairable: Counter[Kind] = field(default_factory=Counter)
    not_checked: list[str] = field(default_factory=list)
    #: Conversations with a fault, and how many more there are whose findings were not kept.
    affected: set[str] = field(default_factory=set)
    more_affected: int = 0
    _kept: dict[Kind, list[Finding]] = field(default_factory=lambda: defaultdict(list))

    def note(self, finding: Finding) -> None:
        """Take one finding into account."""
        self.total += 1
        self.counts[finding.kind] += finding.count
        if finding.is_repairable:
            self.repairable[finding.kind] += finding.count
        if finding.conversation_id is not None:
            self.affected.add(finding.conversation_id)
        if len(self._kept[finding.kind]) < MOST_FINDINGS:
            self._kept[finding.kind].append(finding)

    @property
    def findings(self) -> list[Finding]:
        """The first of them, the gravest kinds first."""
        return [finding for kind in _GRAVITY for finding in self._kept[kind]][:MOST_FINDINGS]


Step = Callable[[Storage, Seen], Awaitable[None]]


async def look(storage: Storage) -> Seen:
    """Make every check. What cannot be read for damage is noted, and the others are made all the same."""
    seen = Seen()
    await _file(storage, seen)
    if seen.not_checked and Kind.FILE_DAMAGE not in seen.counts:
        await _remember_damage(storage, seen)
    for name, step in _STEPS.items():
        try:
            await step(storage, seen)
        except StorageError as error:
            if Kind.FILE_DAMAGE not in seen.counts:
                raise
            log.warning("an integrity check met damage", check=name, reason=error.message)
            seen.not_checked.append(f"{name}: {error.message}")
    return seen


async def _file(storage: Storage, seen: Seen) -> None:
    if storage.file is None:
        await _server(storage, seen)
        return
    for said in await in_thread(partial(sqlitefile.faults_in, storage.file)):
        seen.note(findings.damaged(said, is_file=True))


async def _remember_damage(storage: Storage, seen: Seen) -> None:
    """Where nobody can look at the file, what the last look found still holds: not looking mends nothing."""
    check_id = await storage.read(store.damaged_at)
    if check_id is not None:
        seen.note(findings.still_damaged(check_id, seen.not_checked))


async def in_thread(do: Callable[[threading.Event], Sequence[str] | None]) -> Sequence[str]:
    """Run what blocks in a thread of its own; it is told when nobody waits for it any more."""
    given_up = threading.Event()
    try:
        return await asyncio.to_thread(do, given_up) or ()
    finally:
        given_up.set()


async def _server(storage: Storage, seen: Seen) -> None:
    """What the server's own extension says, where it is there and we may ask it."""
    if not await storage.read(amcheck.is_installed):
        seen.not_checked.append(amcheck.MISSING)
        return
    tables, indexes = await storage.read(amcheck.relations)
    looks = [
        *((table, partial(amcheck.faults_in_table, table=table)) for table in tables),
        *((index, partial(amcheck.faults_in_index, index=index)) for index in indexes),
    ]
    for name, read in looks:
        try:
            for said in await _faults_of(storage, name, read):
                seen.note(findings.damaged(said, is_file=False))
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - the driver's own: this user may not call the functions
            seen.not_checked.append(f"the server's files: {_first_line(error)}")
            return


async def _faults_of(storage: Storage, name: str, read: Callable[[Connection], list[str]]) -> list[str]:
    """What is wrong with one relation; that a server gives up reading it is wrong with it too."""
    try:
        return await storage.read(read)
    except StorageError as error:
        if not amcheck.is_damage(error):
            raise
        return [f"{name}: {error.message}"]


async def _orphans(storage: Storage, seen: Seen) -> None:
    await _orphans_that(storage, seen, are_told_of=True)
    await _orphans_that(storage, seen, are_told_of=False)


async def _orphans_that(storage: Storage, seen: Seen, *, are_told_of: bool) -> None:
    tellers = execution_faults.tellers()
    asked = partial(
        conversation_faults.orphans,
        tellers=tellers,
        are_told_of=are_told_of,
        limit=MOST_FINDINGS,
        named=MOST_IDS,
    )
    found, everything = await storage.read(asked)
    for orphans in found:
        seen.note(findings.lost(orphans) if are_told_of else findings.orphaned(orphans))
    missed = everything - len(found)
    if missed:
        # Their findings are not kept anyway; their rows and conversations count.
        kind = Kind.LOST_CONVERSATION if are_told_of else Kind.ORPHANED_TURN
        turns = await storage.read(
            partial(conversation_faults.orphan_count, tellers=tellers, are_told_of=are_told_of)
        )
        rest = turns - sum(orphans.count for orphans in found)
        seen.total += missed
        seen.more_affected += missed
        seen.counts[kind] += rest
        seen.repairable[kind] += rest
    seen.conversations += everything


async def _conversations(storage: Storage, seen: Seen) -> None:
    async for found in _portions(storage):
        for finding in found:
            seen.note(finding)
    conversations, turns = await storage.read(conversation_faults.totals)
    seen.conversations += conversations
    seen.turns += turns


async def _portions(storage: Storage) -> AsyncIterator[Sequence[Finding]]:
    after = ""
    while True:
        last, found = await storage.read(partial(_portion, after=after))
        yield found
        if last is None:
            return
        after = last


@dataclass(frozen=True, slots=True, kw_only=True)
class _Portion:
    """Some conversations that have turns, with all that tells whether these are whole."""

    #: By conversation, in the database's own order.
    agents: dict[str, str]
    turns: Mapping[str, Sequence[Said]]
    origins: Mapping[str, execution_faults.Origin]

    @property
    def last(self) -> str | None:
        """The last conversation; None where there is none any more."""
        return next(reversed(self.agents), None)


def faulty_portion(conn: Connection, after: str) -> tuple[str | None, list[str]]:
    """The last of the next conversations behind `after`, and those of them a repair may have to do with."""
    read = _read_portion(conn, after)
    return read.last, [
        conversation_id
        for conversation_id, turns in read.turns.items()
        if order.duplicates(turns) or order.is_out_of_order(turns, read.origins)
    ]


def _portion(conn: Connection, after: str) -> tuple[str | None, list[Finding]]:
    """The last of the next conversations behind `after`, and what is wrong with them."""
    read = _read_portion(conn, after)
    return read.last, [
        finding
        for conversation_id, turns in read.turns.items()
        for finding in _of_one(conn, turns, read.agents[conversation_id], read.origins)
    ]


def _read_portion(conn: Connection, after: str) -> _Portion:
    agents = conversation_faults.portion(conn, after=after, limit=AT_ONCE)
    turns: dict[str, list[Said]] = defaultdict(list)
    for turn in conversation_faults.said_in(conn, agents):
        turns[turn.conversation_id].append(turn)
    named = {turn.execution_id for said in turns.values() for turn in said if turn.execution_id}
    return _Portion(agents=agents, turns=turns, origins=execution_faults.origins(conn, named))


def _of_one(
    conn: Connection, turns: Sequence[Said], agent_id: str, origins: Mapping[str, execution_faults.Origin]
) -> Iterator[Finding]:
    surplus: set[str] = set()
    for same in order.duplicates(turns):
        words = conversation_faults.has_same_words(conn, [turn.turn_id for turn in same])
        surplus |= {turn.turn_id for turn in same[1:]} if words else set()
        yield findings.doubled(same, has_same_words=words)
    # A cleanup deletes the surplus first, and so the order is that of the others.
    left = [turn for turn in turns if turn.turn_id not in surplus]
    for finding in (findings.disorder(left, origins), findings.foreign(left, agent_id, origins)):
        if finding is not None:
            yield finding


async def _executions(storage: Storage, seen: Seen) -> None:
    def read(conn: Connection) -> list[Finding]:
        running = summary_store.running(conn)
        sessions = session_store.everyone(conn)
        wanted = {session.conversation_id for session in sessions}
        # A conversation that is inserted again is none that a session has lost.
        known = conversation_faults.known(conn, wanted) | conversation_faults.told_of(
            conn, execution_faults.tellers(), wanted
        )
        ids, count = execution_faults.ended_at_no_time(conn, limit=MOST_IDS)
        return [
            *findings.dangling(sessions, known, {one.agent_id for one in running}),
            *findings.unheld(running, lock_store.held(conn)),
            *findings.timeless(ids, count),
        ]

    for finding in await storage.read(read):
        seen.note(finding)


async def _foreign_keys(storage: Storage, seen: Seen) -> None:
    for key in constraints.declared():
        if key.table == "turns":
            continue  # looked at as orphans
        found = await storage.read(partial(constraints.broken, key=key, limit=MOST_IDS))
        if found is not None:
            seen.note(findings.broken(found))


_STEPS: Mapping[str, Step] = {
    "orphaned turns": _orphans,
    "conversations": _conversations,
    "executions and sessions": _executions,
    "foreign keys": _foreign_keys,
}


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
