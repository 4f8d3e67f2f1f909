"""What each fault is told as."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kokino.clock import from_ms
from kokino.conversations.fault_store import Said
from kokino.conversations.model import Role
from kokino.executions.fault_store import Origin
from kokino.integrity import turn_findings
from kokino.integrity.order import foreign_among


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
    strange = foreign_among(turns, "writer", origins)
    found = turn_findings.foreign(strange, "writer", origins, accepted=())
    assert found is not None
    assert (list(found.ids), found.count) == (["turn-2", "turn-3"], 2)
    assert "1 of an execution that is not there and 1 of an execution of another agent" in found.message
    assert foreign_among(turns[:1], "writer", origins) == []


def test_an_accepted_turn_is_no_finding() -> None:
    """The others of its conversation are."""
    strange = [turn(1, "gone"), turn(2, "gone")]
    found = turn_findings.foreign(strange, "writer", {}, accepted={"turn-1"})
    assert found is not None
    assert (list(found.ids), found.count) == (["turn-2"], 1)
    assert turn_findings.foreign(strange, "writer", {}, accepted={"turn-1", "turn-2"}) is None
