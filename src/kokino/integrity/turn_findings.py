"""What faults of turns are called, what they mean, and what to do about them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from kokino.conversations.fault_store import Said
from kokino.conversations.orphan_store import Orphans
from kokino.executions.fault_store import Origin
from kokino.integrity.mends import DECIDE, LOOK_UP, counted
from kokino.integrity.model import MOST_IDS, Finding, Kind
from kokino.integrity.order import is_out_of_order, right_order


def orphaned(orphans: Orphans) -> Finding:
    """Turns of a conversation that is not there."""
    return Finding(
        kind=Kind.ORPHANED_TURN,
        message=f"{counted(orphans.count, 'turn')} of the conversation {orphans.conversation_id},"
        " which is not there, and of which no execution tells",
        mend="cleanup deletes such turns; the backup that it makes holds them",
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
        message=f"{counted(orphans.count, 'turn')} of the conversation {orphans.conversation_id},"
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


def foreign(
    strange: Sequence[Said], agent_id: str, origins: Mapping[str, Origin], *, accepted: Collection[str]
) -> Finding | None:
    """Of the `foreign_among` a conversation's turns those that nobody accepted; None where all are."""
    left = [turn for turn in strange if turn.turn_id not in accepted]
    if not left:
        return None
    unknown = [turn for turn in left if turn.execution_id not in origins]
    parts = [
        f"{len(unknown)} of an execution that is not there" if unknown else "",
        f"{len(left) - len(unknown)} of an execution of another agent than {agent_id}"
        if len(unknown) < len(left)
        else "",
    ]
    said = " and ".join(part for part in parts if part)
    return Finding(
        kind=Kind.FOREIGN_TURN,
        message=f"turns of the conversation {left[0].conversation_id}: {said}",
        mend=f"such turns may be the only record of what was said, so {DECIDE}",
        is_repairable=False,
        count=len(left),
        table="turns",
        ids=[turn.turn_id for turn in left[:MOST_IDS]],
        conversation_id=left[0].conversation_id,
    )
