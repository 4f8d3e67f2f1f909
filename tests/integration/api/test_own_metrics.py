"""What a scrape asks the database for, on both of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from kokino.alerts.model import Phase
from kokino.api import own_metrics
from kokino.escalation import store as escalation_store
from kokino.escalation.model import Escalation, EscalationState
from kokino.notify import store as outbox
from kokino.notify.model import Action, DeliveryState, Message, Severity
from kokino.storage import Storage
from tests.fixtures.episodes import Episodes

T = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


async def test_a_broker_that_has_done_nothing(storage: Storage) -> None:
    """Every state is there, with nothing in it."""
    found = await storage.read(own_metrics.read)
    assert found.alerts == {}
    assert set(found.escalations.values()) == {0}
    assert EscalationState.FINISHED not in found.escalations
    assert found.outbox == {DeliveryState.WAITING: 0, DeliveryState.LEASED: 0}
    assert found.waiting_since is None


async def test_alerts_escalations_and_deliveries_are_counted_by_state(
    storage: Storage, episodes: Episodes
) -> None:
    """A rule with several alerts has several states; what is finished is not counted."""
    over = await episodes.fire(T, rule_id="lock-timeout", labels={"agent": "a"})
    await episodes.resolve(over, T + MINUTE)
    for agent in ("b", "c"):
        await episodes.fire(T, rule_id="lock-timeout", labels={"agent": agent})
    states = (EscalationState.ACTIVE, EscalationState.ACTIVE, EscalationState.HELD, EscalationState.FINISHED)

    def put(conn: Connection) -> None:
        for number, state in enumerate(states):
            escalation_store.start(conn, escalation(f"episode-{number}", state))
            outbox.enqueue(
                conn,
                receiver="oncall",
                action=Action.TRIGGER,
                dedup_key=f"k{number}",
                message=Message(severity=Severity.P1, title="x", source="s"),
                now=T + number * MINUTE,
            )
        outbox.claim(conn, T, MINUTE, slots={"oncall": 1})

    await storage.write(put)
    found = await storage.read(own_metrics.read)
    assert found.alerts == {"lock-timeout": {Phase.FIRING: 2, Phase.RESOLVED: 1}}
    assert {state: count for state, count in found.escalations.items() if count} == {
        EscalationState.ACTIVE: 2,
        EscalationState.HELD: 1,
    }
    assert found.outbox == {DeliveryState.WAITING: 3, DeliveryState.LEASED: 1}
    assert found.waiting_since == T


def escalation(episode_id: str, state: EscalationState) -> Escalation:
    """One that stands there."""
    return Escalation(
        episode_id=episode_id,
        alert_id="alert",
        policy="P1",
        incident=None,
        state=state,
        tier=0,
        round=0,
        due_at=None,
        started_at=T,
        reason="it fires",
    )
