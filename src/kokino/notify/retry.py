"""What follows from an attempt: delivered, tried again, or given up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from kokino.notify.model import Delivery, DeliveryState, Outcome, Receipt

#: The pause is drawn between nothing and a ceiling that doubles from the first to the last.
FIRST_CEILING = timedelta(seconds=1)
LAST_CEILING = timedelta(minutes=5)
#: A page that nobody took for a day is history, and its receiver is not coming back by itself.
GIVE_UP_AFTER = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The state that a delivery enters after an attempt."""

    state: DeliveryState
    #: When it is tried again; None when it is not.
    due_at: datetime | None = None
    #: Why it is not delivered.
    reason: str | None = None


def decide(delivery: Delivery, receipt: Receipt, *, now: datetime, spread: float) -> Verdict:
    """What becomes of `delivery` after the attempt that brought `receipt`; `spread` is drawn from [0, 1)."""
    if receipt.outcome is Outcome.ACCEPTED:
        return Verdict(state=DeliveryState.DELIVERED)
    is_uncertain = delivery.is_uncertain or receipt.outcome is Outcome.UNCERTAIN
    if receipt.outcome is Outcome.REFUSED:
        return given_up(receipt.detail, is_uncertain=is_uncertain)
    last_try_at = delivery.queued_at + GIVE_UP_AFTER
    if now >= last_try_at:
        hours = GIVE_UP_AFTER // timedelta(hours=1)
        return given_up(f"given up after {hours} h: {receipt.detail}", is_uncertain=is_uncertain)
    wait = max(pause(delivery.attempts, spread), receipt.retry_after or timedelta())
    return Verdict(state=DeliveryState.WAITING, due_at=min(now + wait, last_try_at), reason=receipt.detail)


def pause(attempts: int, spread: float) -> timedelta:
    """How long to wait after so many attempts: full jitter, so that what failed together returns apart."""
    doublings = min(max(attempts - 1, 0), 16)  # enough to be past the last ceiling, and no overflow
    ceiling = min(FIRST_CEILING * (1 << doublings), LAST_CEILING)
    return ceiling * spread


def given_up(reason: str, *, is_uncertain: bool) -> Verdict:
    """The end of a delivery that no receiver has confirmed."""
    state = DeliveryState.UNCERTAIN if is_uncertain else DeliveryState.FAILED
    return Verdict(state=state, reason=reason)
