"""How long the broker waits before it asks again whether something disabled works again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kokino.agents.model import Fallback
from kokino.executions.probes import pause

T = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("good", "minutes", "expected"),
    [
        pytest.param(0, 5, 1, id="it fails, since little time"),
        pytest.param(0, 50, 5, id="it fails, since longer: a tenth of that"),
        pytest.param(0, 5_000, 15, id="it fails and fails: not less often than that"),
        pytest.param(1, 50, 1, id="it answers: soon again"),
        pytest.param(3, 50, 60, id="it has answered often enough: somebody must switch back"),
        pytest.param(9, 50, 60, id="and goes on to answer"),
    ],
)
def test_what_need_not_be_asked_often_is_not(good: int, minutes: int, expected: int) -> None:
    """A probe is a prompt that is paid for."""
    fallback = Fallback(
        cli_type="gemini", reason="it hangs", since=T - minutes * MINUTE, target=None, set_by="ada"
    )
    assert pause(fallback, T, good=good, wanted=3) == expected * MINUTE
