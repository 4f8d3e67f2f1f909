"""Look through all turns: those of no conversation, and the others conversation by conversation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from kokino.conversations import fault_store as conversation_faults
from kokino.conversations import orphan_store
from kokino.conversations.fault_store import Said
from kokino.executions import fault_store as execution_faults
from kokino.executions.fault_store import Origin
from kokino.integrity import acceptance_store, order, turn_findings
from kokino.integrity.model import MOST_FINDINGS, MOST_IDS, Finding, Kind
from kokino.integrity.seen import Seen
from kokino.storage import Reading

#: Conversations of one portion, and turns after which it ends: some milliseconds of a reader's time.
AT_ONCE = 200
TURNS_AT_ONCE = 5_000


async def look_for_orphans(storage: Reading, seen: Seen) -> None:
    """Note the turns whose conversation is not there."""
    await _orphans_that(storage, seen, are_told_of=True)
    await _orphans_that(storage, seen, are_told_of=False)


async def _orphans_that(storage: Reading, seen: Seen, *, are_told_of: bool) -> None:
    tellers = execution_faults.tellers()
    asked = partial(
        orphan_store.orphans,
        tellers=tellers,
        are_told_of=are_told_of,
        limit=MOST_FINDINGS,
        named=MOST_IDS,
    )
    found, everything = await storage.read(asked)
    for orphans in found:
        seen.note(turn_findings.lost(orphans) if are_told_of else turn_findings.orphaned(orphans))
    missed = everything - len(found)
    if missed:
        # Their findings are not kept anyway; their rows count.
        kind = Kind.LOST_CONVERSATION if are_told_of else Kind.ORPHANED_TURN
        turns = await storage.read(
            partial(orphan_store.orphan_count, tellers=tellers, are_told_of=are_told_of)
        )
        rest = turns - sum(orphans.count for orphans in found)
        seen.total += missed
        seen.counts[kind] += rest
        seen.repairable[kind] += rest
    seen.affected += everything
    seen.conversations += everything


async def look_through_conversations(storage: Reading, seen: Seen) -> None:
    """Note what is wrong with the turns of those that are there."""
    after: str | None = ""
    while after is not None:
        looked = await storage.read(partial(_look, after=after))
        for finding in looked.findings:
            seen.note(finding)
        seen.affected += len({finding.conversation_id for finding in looked.findings})
        seen.accepted += looked.accepted
        after = looked.last
    conversations, turns = await storage.read(conversation_faults.totals)
    seen.conversations += conversations
    seen.turns += turns


def faulty_portion(conn: Connection, after: str) -> tuple[str | None, list[str]]:
    """The last of the next conversations behind `after`, and those of them a repair may have to do with."""
    read = _read(conn, after)
    return read.last, [
        conversation_id
        for conversation_id, turns in read.turns.items()
        if order.duplicates(turns) or order.is_out_of_order(read.own(conversation_id), read.origins)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Portion:
    """Some conversations, with all that tells whether their turns are whole."""

    #: By conversation, in the database's own order.
    agents: dict[str, str]
    turns: Mapping[str, Sequence[Said]]
    origins: Mapping[str, Origin]

    @property
    def last(self) -> str | None:
        """The last conversation; None where there is none any more."""
        return next(reversed(self.agents), None)

    def own(self, conversation_id: str) -> list[Said]:
        """The turns of one conversation that are not foreign."""
        return order.own_among(self.turns[conversation_id], self.agents[conversation_id], self.origins)


@dataclass(slots=True, kw_only=True)
class _Looked:
    """What a look at one portion came to."""

    last: str | None
    findings: list[Finding]
    #: Foreign turns that somebody accepted.
    accepted: int


def _look(conn: Connection, after: str) -> _Looked:
    read = _read(conn, after)
    looked = _Looked(last=read.last, findings=[], accepted=0)
    for conversation_id, turns in read.turns.items():
        surplus = _doubled(conn, turns, looked)
        # A cleanup deletes the surplus first, and so the order is that of the others.
        left = [turn for turn in turns if turn.turn_id not in surplus]
        own = [turn for turn in read.own(conversation_id) if turn.turn_id not in surplus]
        if (disorder := turn_findings.disorder(own, read.origins)) is not None:
            looked.findings.append(disorder)
        _foreign(conn, left, read.agents[conversation_id], read.origins, looked)
    return looked


def _read(conn: Connection, after: str) -> _Portion:
    agents = conversation_faults.portion(conn, after=after, limit=AT_ONCE, turns_at_once=TURNS_AT_ONCE)
    turns: dict[str, list[Said]] = defaultdict(list)
    for turn in conversation_faults.said_in(conn, agents):
        turns[turn.conversation_id].append(turn)
    named = {turn.execution_id for said in turns.values() for turn in said if turn.execution_id}
    return _Portion(agents=agents, turns=turns, origins=execution_faults.origins(conn, named))


def _doubled(conn: Connection, turns: Sequence[Said], looked: _Looked) -> set[str]:
    """Note what stands there twice; those of it that a cleanup deletes."""
    surplus: set[str] = set()
    for same in order.duplicates(turns):
        words = conversation_faults.has_same_words(conn, [turn.turn_id for turn in same])
        surplus |= {turn.turn_id for turn in same[1:]} if words else set()
        looked.findings.append(turn_findings.doubled(same, has_same_words=words))
    return surplus


def _foreign(
    conn: Connection, turns: Sequence[Said], agent_id: str, origins: Mapping[str, Origin], looked: _Looked
) -> None:
    strange = order.foreign_among(turns, agent_id, origins)
    accepted = acceptance_store.accepted(conn, [turn.turn_id for turn in strange])
    looked.accepted += len(accepted)
    found = turn_findings.foreign(strange, agent_id, origins, accepted=accepted)
    if found is not None:
        looked.findings.append(found)
