"""For how long an account is parked, and what becomes of a pause that is there already."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kokino.agents.model import Pause, Scope
from kokino.agents.parking import KOKINO, longer, parked_until

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def ahead(**length: float) -> datetime:
    """So long from now."""
    return NOW + timedelta(**length)


@pytest.mark.parametrize(
    ("told", "error", "until"),
    [
        pytest.param(
            ahead(hours=2), "try again in 3 hours", ahead(hours=2), id="a record goes before a sentence"
        ),
        pytest.param(None, "try again in 3 hours", ahead(hours=3), id="a sentence goes before a guess"),
        pytest.param(None, "quota exceeded", ahead(minutes=15), id="a guess is a quarter of an hour"),
        pytest.param(None, "try again in 2s", ahead(seconds=30), id="never shorter than half a minute"),
        pytest.param(ahead(hours=-1), "", ahead(seconds=30), id="not even when it is over by our clock"),
        pytest.param(None, "try again in 30 days", ahead(days=8), id="never longer than eight days"),
        pytest.param(
            None, "Reached maximum budget ($0.50)", None, id="a run's own budget is no account's quota"
        ),
    ],
)
def test_how_long_an_account_is_parked(told: datetime | None, error: str, until: datetime | None) -> None:
    """What the CLI told, within bounds."""
    assert parked_until(error, told=told, now=NOW) == until


def pause(ends_at: datetime | None, *, set_by: str = KOKINO, since: datetime = NOW) -> Pause:
    """A pause of an account."""
    return Pause(
        scope=Scope.ACCOUNT, scope_id="team", reason="quota", since=since, set_by=set_by, ends_at=ends_at
    )


EARLIER = ahead(minutes=-10)
WANTED = pause(ahead(hours=1))


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        pytest.param(None, WANTED, id="nothing is there"),
        pytest.param(pause(NOW, since=EARLIER), WANTED, id="what is there has ended"),
        pytest.param(pause(None, set_by="ada"), None, id="somebody's pause without an end stays"),
        pytest.param(pause(ahead(minutes=5), set_by="ada"), None, id="so does one with an end"),
        pytest.param(pause(ahead(hours=5)), None, id="a longer quota of the same account holds"),
        pytest.param(
            pause(ahead(minutes=15), since=EARLIER),
            pause(ahead(hours=1), since=EARLIER),
            id="a shorter one is made longer, and has begun when it began",
        ),
    ],
)
def test_what_becomes_of_a_pause_that_is_there(present: Pause | None, expected: Pause | None) -> None:
    """None leaves it as it is."""
    assert longer(present, WANTED) == expected
