"""What a decision about foreign turns has to say."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from kokino.api.foreign_turns import DecisionBody


@pytest.mark.parametrize(
    "which",
    [
        pytest.param({}, id="which turns is not said"),
        pytest.param({"turnIds": []}, id="none are named"),
        pytest.param({"turnIds": ["turn-1"], "all": 1}, id="said both ways"),
        pytest.param({"all": 0}, id="none were seen"),
        pytest.param({"turnIds": ["turn-1"], "reason": ""}, id="without a reason"),
    ],
)
def test_a_decision_that_does_not_say_what_and_why_is_refused(which: dict[str, Any]) -> None:
    """Nothing is guessed where a turn may be deleted."""
    with pytest.raises(ValidationError):
        DecisionBody.model_validate({"reason": "imported"} | which)


def test_a_decision_names_turns_or_all_that_were_seen() -> None:
    """Each way alone."""
    named = DecisionBody.model_validate({"turnIds": ["turn-1"], "reason": "x"}).choice
    assert (named.turn_ids, named.everything) == (["turn-1"], None)
    every = DecisionBody.model_validate({"all": 37, "reason": "x"}).choice
    assert (list(every.turn_ids), every.everything) == ([], 37)
