"""Whether the turns of one conversation are its own and stand as they were said, and how they would.

Foreign turns have no order: executions of other agents are numbered among this agent's, and run beside them.
Whoever asks for an order leaves them out, and they keep their numbers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

from kokino.conversations.fault_store import Said
from kokino.conversations.model import Role
from kokino.executions.fault_store import Origin

#: What is said first in an execution.
_ROLES = {Role.USER: 0, Role.ASSISTANT: 1}

Place = tuple[int, int]


def is_out_of_order(turns: Sequence[Said], origins: Mapping[str, Origin]) -> bool:
    """True where a turn stands behind one that was said after it.

    Executions are numbered as they were accepted, and an agent runs them in that order; that tells more than
    the time, which goes backwards when somebody sets the machine's clock. A turn of no execution has only its
    time to go by.
    """
    places = [_place(turn, origins) for turn in turns]
    by_execution = [place for place in places if place is not None]
    return any(first > second for first, second in pairwise(by_execution)) or any(
        one.said_at > next_.said_at
        for (one, first), (next_, second) in pairwise(zip(turns, places, strict=True))
        if first is None or second is None
    )


def right_order(turns: Sequence[Said], origins: Mapping[str, Origin]) -> list[Said] | None:
    """The turns as they were said, which is never out of order; None where that is not beyond doubt."""
    places = {turn.turn_id: place for turn in turns if (place := _place(turn, origins)) is not None}
    if len(places) == len(turns):
        ordered = sorted(turns, key=lambda turn: places[turn.turn_id])
        in_time = all(one.said_at <= next_.said_at for one, next_ in pairwise(ordered))
        return ordered if in_time and len(set(places.values())) == len(turns) else None
    ordered = sorted(turns, key=lambda turn: turn.said_at)
    in_time = all(one.said_at < next_.said_at for one, next_ in pairwise(ordered))
    return ordered if in_time and not is_out_of_order(ordered, origins) else None


def new_numbers(ordered: Sequence[Said]) -> dict[str, int]:
    """The number of each turn that has to get another one, by turn id; gaps stay where they are."""
    numbers = sorted(turn.number for turn in ordered)
    pairs = zip(ordered, numbers, strict=True)
    return {turn.turn_id: number for turn, number in pairs if turn.number != number}


def duplicates(turns: Sequence[Said]) -> list[list[Said]]:
    """Turns that are the same side of the same execution, which says each side once."""
    by_side: dict[tuple[str, Role], list[Said]] = defaultdict(list)
    for turn in turns:
        if turn.execution_id is not None:
            by_side[turn.execution_id, turn.role].append(turn)
    return [same for same in by_side.values() if len(same) > 1]


def own_among(turns: Sequence[Said], agent_id: str, origins: Mapping[str, Origin]) -> list[Said]:
    """The turns of an agent's conversation that are not `foreign_among` them."""
    return [turn for turn in turns if not _is_foreign(turn, agent_id, origins)]


def foreign_among(turns: Sequence[Said], agent_id: str, origins: Mapping[str, Origin]) -> list[Said]:
    """The turns of an agent's conversation whose execution is not there, or ran for another agent."""
    return [turn for turn in turns if _is_foreign(turn, agent_id, origins)]


def _is_foreign(turn: Said, agent_id: str, origins: Mapping[str, Origin]) -> bool:
    if not turn.execution_id:
        return False
    origin = origins.get(turn.execution_id)
    return origin is None or origin.agent_id != agent_id


def _place(turn: Said, origins: Mapping[str, Origin]) -> Place | None:
    origin = origins.get(turn.execution_id or "")
    return None if origin is None else (origin.number, _ROLES[turn.role])
