"""What of an episode is said again to a receiver that forgets."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kokino.escalation.repeats import to_repeat
from kokino.notify.model import Action, Delivery, DeliveryState, Message, Severity

T = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
DELIVERED, WAITING, FAILED = DeliveryState.DELIVERED, DeliveryState.WAITING, DeliveryState.FAILED
TRIGGER, UPDATE, RESOLVE = Action.TRIGGER, Action.UPDATE, Action.RESOLVE


def sent(*deliveries: tuple[Action, DeliveryState]) -> list[Delivery]:
    """Deliveries numbered as they were queued, the newest first, as the outbox tells them."""
    return [
        Delivery(
            delivery_id=number,
            receiver="prometheus",
            action=action,
            dedup_key="k",
            message=Message(severity=Severity.P1, title="x", source="s"),
            state=state,
            attempts=1,
            queued_at=T,
            due_at=T,
        )
        for number, (action, state) in reversed(list(enumerate(deliveries, start=1)))
    ]


@pytest.mark.parametrize(
    ("deliveries", "repeated"),
    [
        pytest.param([], [], id="nothing was told"),
        pytest.param([(TRIGGER, WAITING)], [], id="what waits goes out by itself"),
        pytest.param([(TRIGGER, FAILED)], [], id="what was refused is not wanted"),
        pytest.param([(TRIGGER, DELIVERED)], [1], id="what was taken"),
        pytest.param([(TRIGGER, DELIVERED), (UPDATE, DELIVERED)], [2], id="the news alone, not the old text"),
        pytest.param([(TRIGGER, DELIVERED), (UPDATE, WAITING)], [1], id="news that have not come yet"),
        pytest.param([(TRIGGER, DELIVERED), (RESOLVE, WAITING)], [], id="its end is on its way"),
        pytest.param([(TRIGGER, DELIVERED), (RESOLVE, DELIVERED)], [], id="its end was taken"),
    ],
)
def test_what_is_repeated(deliveries: list[tuple[Action, DeliveryState]], repeated: list[int]) -> None:
    """At most one, and none that would raise an alert again that is over."""
    assert [each.delivery_id for each in to_repeat(sent(*deliveries))] == repeated
