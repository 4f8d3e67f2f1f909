"""What a scrape asks the database for, on both of them."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from kokino.alerts.model import Phase
from kokino.alerts.module import AlertRules
from kokino.alerts.rulefile import packaged
from kokino.api import own_metrics
from kokino.escalation import store as escalation_store
from kokino.escalation.model import Escalation, EscalationState
from kokino.executions.store import users_running
from kokino.notify import store as outbox
from kokino.notify.model import Action, DeliveryState, Message, Severity
from kokino.slo.defaults import defaults
from kokino.storage import Storage
from kokino.telemetry import store as telemetry
from kokino.telemetry.model import END_TYPES, Event
from kokino.testing.ids import SequentialIds
from tests.fixtures.episodes import Episodes

T = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def rules_of(storage: Storage) -> AlertRules:
    """The shipped rules, at which nobody has looked yet."""
    return AlertRules(storage, SequentialIds(), packaged(), defaults(), knows_running=users_running)


async def test_what_waits_longest_for_a_look_is_an_event_that_none_has_seen(storage: Storage) -> None:
    """With nothing due at an instant too; an event that no rule counts waits for nobody."""
    rules = rules_of(storage)

    async def since() -> datetime | None:
        return (await storage.read(partial(own_metrics.read, rules=rules))).unlooked_since

    def happen(*events: Event) -> Awaitable[list[int]]:
        return storage.write(lambda conn: [telemetry.append(conn, event) for event in events])

    await rules.run(T)
    due = await since()
    assert due is None or due > T
    await happen(Event(type="nobody_counts_this", at=T + MINUTE))
    assert await since() == due
    failed = Event(type=END_TYPES["failed"], at=T + 2 * MINUTE, agent_id="a", cli_type="gemini")
    await happen(failed, replace(failed, at=T + 3 * MINUTE))
    assert await since() == T + 2 * MINUTE
    await rules.run(T + 4 * MINUTE)
    due = await since()
    assert due is None or due > T + 4 * MINUTE


async def test_a_broker_that_has_done_nothing(storage: Storage) -> None:
    """Every state is there, with nothing in it."""
    found = await storage.read(partial(own_metrics.read, rules=rules_of(storage)))
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
    found = await storage.read(partial(own_metrics.read, rules=rules_of(storage)))
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
