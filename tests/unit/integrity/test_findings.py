"""What each fault is told as."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kokino.clock import from_ms
from kokino.conversations.fault_store import Said
from kokino.conversations.model import Role
from kokino.executions.fault_store import Origin
from kokino.integrity import findings


class LookedUp(Mapping[str, Origin]):
    """Executions of many conversations: each may be asked for, but nobody goes through all of them."""

    def __init__(self, origins: Mapping[str, Origin]) -> None:
        self._origins = origins

    def __getitem__(self, execution_id: str) -> Origin:
        return self._origins[execution_id]

    def __len__(self) -> int:
        return len(self._origins)

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("all executions of all conversations were gone through, for one of them")


def turn(number: int, execution_id: str | None) -> Said:
    """One of the conversation c1."""
    return Said(
        turn_id=f"turn-{number}",
        conversation_id="c1",
        number=number,
        execution_id=execution_id,
        role=Role.USER,
        said_at=from_ms(number),
    )


def test_foreign_turns_are_told_by_the_conversations_own_executions() -> None:
    """One of another agent and one that is not there; what other conversations have costs nothing."""
    origins = LookedUp(
        {
            "mine": Origin(number=1, agent_id="writer"),
            "other": Origin(number=2, agent_id="reader"),
            "elsewhere": Origin(number=3, agent_id="reader"),
        }
    )
    turns = [turn(1, "mine"), turn(2, "other"), turn(3, "gone"), turn(4, None)]
    found = findings.foreign(turns, "writer", origins)
    assert found is not None
    assert (list(found.ids), found.count) == (["turn-3", "turn-2"], 2)
    assert findings.foreign(turns[:1], "writer", origins) is None
