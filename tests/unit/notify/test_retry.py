"""What follows from an attempt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kokino.notify.model import Action, Delivery, DeliveryState, Message, Outcome, Receipt, Severity
from kokino.notify.retry import Verdict, decide, pause

T = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
DAY = timedelta(hours=24)


def delivery(*, attempts: int = 1, is_uncertain: bool = False) -> Delivery:
    """One that was queued at T."""
    return Delivery(
        delivery_id=1,
        receiver="oncall",
        action=Action.TRIGGER,
        dedup_key="k",
        message=Message(severity=Severity.P1, title="t", source="s"),
        state=DeliveryState.LEASED,
        attempts=attempts,
        queued_at=T,
        due_at=T,
        is_uncertain=is_uncertain,
    )


def receipt(outcome: Outcome, retry_after: timedelta | None = None) -> Receipt:
    """What a channel said."""
    return Receipt(outcome=outcome, detail="said", retry_after=retry_after)


@pytest.mark.parametrize(
    ("of", "said", "now", "verdict"),
    [
        pytest.param(
            delivery(),
            receipt(Outcome.ACCEPTED),
            T + 2 * DAY,
            Verdict(state=DeliveryState.DELIVERED),
            id="accepted is delivered, however late",
        ),
        pytest.param(
            delivery(),
            receipt(Outcome.REFUSED),
            T,
            Verdict(state=DeliveryState.FAILED, reason="said"),
            id="refused is final",
        ),
        pytest.param(
            delivery(is_uncertain=True),
            receipt(Outcome.REFUSED),
            T,
            Verdict(state=DeliveryState.UNCERTAIN, reason="said"),
            id="but an earlier attempt may have arrived",
        ),
        pytest.param(
            delivery(),
            receipt(Outcome.RETRY),
            T,
            Verdict(state=DeliveryState.WAITING, due_at=T + timedelta(milliseconds=500), reason="said"),
            id="later is later, by the drawn pause",
        ),
        pytest.param(
            delivery(),
            receipt(Outcome.UNCERTAIN),
            T,
            Verdict(state=DeliveryState.WAITING, due_at=T + timedelta(milliseconds=500), reason="said"),
            id="a lost answer is tried again",
        ),
        pytest.param(
            delivery(),
            receipt(Outcome.RETRY, timedelta(seconds=90)),
            T,
            Verdict(state=DeliveryState.WAITING, due_at=T + timedelta(seconds=90), reason="said"),
            id="the receiver knows best when",
        ),
        pytest.param(
            delivery(attempts=20),
            receipt(Outcome.RETRY, timedelta(seconds=1)),
            T,
            Verdict(state=DeliveryState.WAITING, due_at=T + timedelta(seconds=150), reason="said"),
            id="unless our own pause is longer",
        ),
        pytest.param(
            delivery(),
            receipt(Outcome.RETRY, 3 * DAY),
            T,
            Verdict(state=DeliveryState.WAITING, due_at=T + DAY, reason="said"),
            id="the last try is a day after the first",
        ),
        pytest.param(
            delivery(),
            receipt(Outcome.RETRY),
            T + DAY,
            Verdict(state=DeliveryState.FAILED, reason="given up after 24 h: said"),
            id="after which it is given up",
        ),
        pytest.param(
            delivery(),
            receipt(Outcome.UNCERTAIN),
            T + DAY,
            Verdict(state=DeliveryState.UNCERTAIN, reason="given up after 24 h: said"),
            id="and not called failed when its answer was lost",
        ),
    ],
)
def test_decide(of: Delivery, said: Receipt, now: datetime, verdict: Verdict) -> None:
    """Each row tells why it is there."""
    assert decide(of, said, now=now, spread=0.5) == verdict


def test_the_ceiling_of_the_pause_doubles_from_a_second_to_five_minutes() -> None:
    """Full jitter draws below it, so what failed together returns apart."""
    ceilings = [pause(attempts, 1.0).total_seconds() for attempts in (1, 2, 3, 9, 10, 10_000)]
    assert ceilings == [1, 2, 4, 256, 300, 300]
    assert pause(5, 0.0) == timedelta()
