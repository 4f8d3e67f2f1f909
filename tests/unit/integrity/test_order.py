"""Whether turns stand as they were said, and whether one order can be told beyond doubt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kokino.conversations.fault_store import Said
from kokino.conversations.model import Role
from kokino.executions.fault_store import Origin
from kokino.integrity import order

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
ORIGINS = {f"e{number}": Origin(number=number, agent_id="a") for number in (1, 2, 3)}


def turns(*said: str) -> list[Said]:
    """``"u1@3"``: what the user said in execution 1, at second 3; numbered as they stand. ``?`` for none."""
    return [_turn(number, one) for number, one in enumerate(said, start=1)]


def _turn(number: int, said: str) -> Said:
    side, _, second = said.partition("@")
    return Said(
        turn_id=said,
        conversation_id="c",
        number=number,
        execution_id=None if side[1:] == "?" else f"e{side[1:]}",
        role=Role.USER if side[0] == "u" else Role.ASSISTANT,
        said_at=NOW + timedelta(seconds=int(second)),
    )


@pytest.mark.parametrize(
    ("said", "is_out", "ordered"),
    [
        pytest.param(["u1@1", "a1@2", "u2@3"], False, ["u1@1", "a1@2", "u2@3"], id="as they were said"),
        pytest.param(["u1@1", "u2@3", "a1@2"], True, ["u1@1", "a1@2", "u2@3"], id="two have changed places"),
        pytest.param(["a1@2", "u1@1"], True, ["u1@1", "a1@2"], id="an answer before its question"),
        pytest.param(
            ["u1@1", "a1@1", "u2@1"], False, ["u1@1", "a1@1", "u2@1"], id="at one instant, by executions"
        ),
        pytest.param(["u2@1", "u1@1"], True, ["u1@1", "u2@1"], id="the executions tell two of one instant"),
        pytest.param(
            ["u1@9", "a1@2", "u2@3"], False, None, id="the clock was set back: no fault of the turns"
        ),
        pytest.param(["u2@1", "u1@2"], True, None, id="time and executions tell different orders"),
        pytest.param(["u?@2", "a?@1"], True, ["a?@1", "u?@2"], id="without executions the time tells"),
        pytest.param(["u?@1", "a?@1"], False, None, id="one instant and no execution tells nothing"),
        pytest.param(["u?@2", "u1@1"], True, ["u1@1", "u?@2"], id="of no execution the time tells"),
        pytest.param(["u2@1", "u1@2", "a?@3"], True, None, id="in time already, but not by executions"),
        pytest.param(["u2@1", "a?@2", "u1@3"], True, None, id="what stands between hides no wrong order"),
        pytest.param(["u1@1", "u1@1"], False, None, id="one side twice has no order"),
    ],
)
def test_the_order_of_turns(said: list[str], is_out: bool, ordered: list[str] | None) -> None:
    """Executions tell more than times, and where they contradict each other nothing is renumbered."""
    given = turns(*said)
    right = order.right_order(given, ORIGINS)
    assert order.is_out_of_order(given, ORIGINS) is is_out
    assert (None if right is None else [turn.turn_id for turn in right]) == ordered


def test_foreign_turns_are_left_out() -> None:
    """Those of an execution that is not there, and of another agent's; not those of no execution."""
    given = turns("u1@1", "u9@2", "a1@3", "u?@4")
    origins = {**ORIGINS, "e1": Origin(number=1, agent_id="b")}
    assert order.own_among(given, "a", ORIGINS) == [given[0], given[2], given[3]]
    assert order.own_among(given, "a", origins) == [given[3]]


def test_only_what_stands_wrong_gets_another_number() -> None:
    """Gaps stay where they are: a number is nobody else's to take."""
    first, second, third = turns("u1@1", "u2@3", "a1@2")
    assert order.new_numbers([first, third, second]) == {"a1@2": 2, "u2@3": 3}


def test_each_side_of_an_execution_is_said_once() -> None:
    """Turns of no execution are never taken for one another."""
    given = turns("u1@1", "a1@2", "a1@3", "u?@4", "u?@5")
    assert [[turn.turn_id for turn in same] for same in order.duplicates(given)] == [["a1@2", "a1@3"]]
