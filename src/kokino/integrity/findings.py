"""What each fault is called, what it means, and what to do about it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from kokino.agents.model import Lock, Session
from kokino.conversations.fault_store import Orphans, Said
from kokino.executions.fault_store import Origin
from kokino.executions.summary_store import Summary
from kokino.integrity.model import MOST_IDS, Finding, Kind
from kokino.integrity.order import is_out_of_order, right_order
from kokino.storage.constraints import Broken

RESTORE = "stop the broker and put a backup in its place: kokino integrity restore FILE"
#: How to bring back what a cleanup would have to invent.
LOOK_UP = "compare with a backup; what it holds can be inserted by hand, or restore it"
RESTART = "restart the broker (`kokino restart`): it takes over what runs and records the rest as lost"


def damaged(said: str, *, is_file: bool) -> Finding:
    """The file, or one of the server's relations."""
    mend = RESTORE if is_file else "stop all writers, keep a copy, restore the server's last backup"
    return Finding(
        kind=Kind.FILE_DAMAGE, message=f"the database is damaged: {said}", mend=mend, is_repairable=False
    )


def still_damaged(check_id: str, why: Sequence[str]) -> Finding:
    """Damage that an earlier check found, and that this one could not look for."""
    return Finding(
        kind=Kind.FILE_DAMAGE,
        message=f"the database was damaged at the check {check_id}, and nobody could look since:"
        f" {'; '.join(why)}",
        mend="make that look possible and check again; a look that finds nothing ends this",
        is_repairable=False,
    )


def orphaned(orphans: Orphans) -> Finding:
    """Turns of a conversation that is not there."""
    return Finding(
        kind=Kind.ORPHANED_TURN,
        message=f"{_counted(orphans.count, 'turn')} of the conversation {orphans.conversation_id},"
        " which is not there, and of which no execution tells",
        mend="cleanup deletes them; the backup that it makes holds them",
        is_repairable=True,
        count=orphans.count,
        table="turns",
        ids=orphans.turn_ids,
        conversation_id=orphans.conversation_id,
    )


def lost(orphans: Orphans) -> Finding:
    """Turns of a conversation that is not there, but of which executions still tell."""
    return Finding(
        kind=Kind.LOST_CONVERSATION,
        message=f"{_counted(orphans.count, 'turn')} of the conversation {orphans.conversation_id},"
        " which is not there",
        mend="cleanup inserts the conversation again, as its executions tell of it; no turn is deleted",
        is_repairable=True,
        count=orphans.count,
        table="turns",
        ids=orphans.turn_ids,
        conversation_id=orphans.conversation_id,
    )


def disorder(turns: Sequence[Said], origins: Mapping[str, Origin]) -> Finding | None:
    """The turns of one conversation do not stand as they were said."""
    if not is_out_of_order(turns, origins):
        return None
    ordered = right_order(turns, origins)
    moved = [turn for turn, right in zip(turns, ordered or (), strict=False) if turn is not right] or turns
    mend = (
        "cleanup numbers them as they were said"
        if ordered is not None
        else f"their times and executions do not tell one order: {LOOK_UP}"
    )
    return Finding(
        kind=Kind.TURN_ORDER,
        message=f"the turns of the conversation {turns[0].conversation_id} are out of order",
        mend=mend,
        is_repairable=ordered is not None,
        count=len(moved),
        table="turns",
        ids=[turn.turn_id for turn in moved[:MOST_IDS]],
        conversation_id=turns[0].conversation_id,
    )


def doubled(same: Sequence[Said], *, has_same_words: bool) -> Finding:
    """One side of an execution stands in its conversation more than once."""
    first = same[0]
    mend = (
        "cleanup deletes all but the first: they say the same"
        if has_same_words
        else f"they do not say the same, and nothing tells which is right: {LOOK_UP}"
    )
    return Finding(
        kind=Kind.DUPLICATE_TURN,
        message=f"the conversation {first.conversation_id} has the {first.role.value}'s turn of the execution"
        f" {first.execution_id} {len(same)} times",
        mend=mend,
        is_repairable=has_same_words,
        count=len(same) - 1,
        table="turns",
        ids=[turn.turn_id for turn in same[:MOST_IDS]],
        conversation_id=first.conversation_id,
    )


def foreign(turns: Sequence[Said], agent_id: str, origins: Mapping[str, Origin]) -> Finding | None:
    """Turns whose execution is not there, or ran for another agent than the conversation's."""
    unknown = [turn for turn in turns if turn.execution_id and turn.execution_id not in origins]
    # By this conversation's own: `origins` has those of hundreds, and each of them is looked at here.
    own = {id: origins[id] for turn in turns if (id := turn.execution_id) and id in origins}
    others = {id for id, origin in own.items() if origin.agent_id != agent_id}
    strange = [turn for turn in turns if turn.execution_id in others]
    if not (found := [*unknown, *strange]):
        return None
    parts = [
        f"{len(unknown)} of an execution that is not there" if unknown else "",
        f"{len(strange)} of an execution of another agent than {agent_id}" if strange else "",
    ]
    said = " and ".join(part for part in parts if part)
    return Finding(
        kind=Kind.FOREIGN_TURN,
        message=f"turns of the conversation {found[0].conversation_id}: {said}",
        mend=f"they may be the only record of what was said, so they stay: {LOOK_UP}",
        is_repairable=False,
        count=len(found),
        table="turns",
        ids=[turn.turn_id for turn in found[:MOST_IDS]],
        conversation_id=found[0].conversation_id,
    )


def dangling(sessions: Sequence[Session], known: Collection[str], running: Collection[str]) -> list[Finding]:
    """Sessions that go on with a conversation that is not there, and that no execution uses now."""
    lost = [session for session in sessions if session.conversation_id not in known]
    return [
        Finding(
            kind=Kind.DANGLING_SESSION,
            message=f"the session of {session.agent_id} on {session.cli_type} goes on with the conversation"
            f" {session.conversation_id}, which is not there",
            mend=f"{session.agent_id} runs an execution: clean up when it is over"
            if session.agent_id in running
            else "cleanup forgets the session: the agent's next execution begins a fresh one",
            is_repairable=session.agent_id not in running,
            table="sessions",
            ids=[f"{session.agent_id}/{session.cli_type}"],
        )
        for session in lost
    ]


def unheld(running: Sequence[Summary], locks: Mapping[str, Lock]) -> list[Finding]:
    """Executions that run without their agent's lock: whoever would have ended them is gone."""
    lost = [one for one in running if _holder(locks.get(one.agent_id)) != one.execution_id]
    return [
        Finding(
            kind=Kind.EXECUTION_WITHOUT_END,
            message=f"the execution {one.execution_id} of {one.agent_id} runs, but does not hold the agent's"
            " lock: nobody will end it",
            mend=RESTART,
            is_repairable=False,
            table="executions",
            ids=[one.execution_id],
        )
        for one in lost
    ]


def timeless(execution_ids: Sequence[str], count: int) -> Iterator[Finding]:
    """Executions that are over at no time."""
    if count:
        yield Finding(
            kind=Kind.EXECUTION_WITHOUT_END,
            message=f"{_counted(count, 'execution')} are over without the time of their end",
            mend=LOOK_UP,
            is_repairable=False,
            count=count,
            table="executions",
            ids=execution_ids,
        )


def broken(found: Broken) -> Finding:
    """Rows whose foreign key leads nowhere."""
    key = found.key
    mend = (
        "cleanup deletes them, as they were to go with what they belonged to; the backup holds them"
        if key.goes_with_parent
        else f"they are to stay when what they belong to goes, so a person decides: {LOOK_UP}"
    )
    return Finding(
        kind=Kind.FOREIGN_KEY,
        message=f"{_counted(found.count, 'row')} of {key.table}: {key.name} names no {key.target}",
        mend=mend,
        is_repairable=key.goes_with_parent,
        count=found.count,
        table=key.table,
        ids=found.ids,
    )


def _holder(lock: Lock | None) -> str | None:
    return None if lock is None else lock.execution_id


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
