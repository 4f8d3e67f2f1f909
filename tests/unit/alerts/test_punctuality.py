"""Whether alert rules were looked at, as those ask who must not vouch for a broker that is deaf."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kokino.alerts.punctuality import Punctuality

T = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
FAILED = "a look at the alert rules has failed"
NOT_LOOKED = "the alert rules were not looked at"


@pytest.mark.parametrize(
    ("done", "failed", "since", "fault"),
    [
        pytest.param(None, None, None, NOT_LOOKED, id="before the first look"),
        pytest.param(0, None, None, None, id="after it"),
        pytest.param(0, None, 0, NOT_LOOKED, id="no look since the last time"),
        pytest.param(1, None, 0, None, id="a look since then"),
        pytest.param(2, 1, 0, FAILED, id="one failed, though the next did not"),
        pytest.param(2, 0, 0, None, id="the failure was told of the last time"),
        pytest.param(None, 0, None, FAILED, id="the first look failed"),
    ],
)
def test_what_is_said_of_looks(
    done: int | None, failed: int | None, since: int | None, fault: str | None
) -> None:
    """Instants are seconds; None is never."""
    looks = Punctuality([])
    if failed is not None:
        with pytest.raises(ValueError, match="no look"), looks.turn(T + failed * SECOND):
            raise ValueError("no look")
    if done is not None:
        with looks.turn(T + done * SECOND):
            pass
    assert looks.fault_since(None if since is None else T + since * SECOND) == fault


def test_a_turn_that_fails_before_any_look_is_counted_and_its_age_grows() -> None:
    """No rule's own counter would tell of it."""
    looks = Punctuality(["watchdog"])
    assert looks.age(T) is None
    with looks.turn(T):
        pass
    with pytest.raises(OSError, match="no database"), looks.turn(T + 60 * SECOND):
        raise OSError("no database")
    assert looks.age(T + 90 * SECOND) == 90 * SECOND
    counted = {sample.name: sample.value for family in looks.collect() for sample in family.samples}
    assert (counted["kokino_alert_turns_total"], counted["kokino_alert_turn_failures_total"]) == (2, 1)
