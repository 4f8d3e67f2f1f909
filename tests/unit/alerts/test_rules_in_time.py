"""How rules behave over time where shipped files do not go: timers, holds, silence, two events at once."""

from __future__ import annotations

from datetime import timedelta

from kokino.alerts.model import Phase
from kokino.alerts.rehearse import START, rehearsal
from kokino.alerts.rule import AlertRule
from kokino.alerts.rulefile import packaged_rule, read_rule
from kokino.errors import Fault
from kokino.slo.defaults import defaults
from kokino.telemetry.model import Event, EventType

MINUTE = timedelta(minutes=1)
HEAD = """apiVersion: kokino/v1
kind: AlertRule
id: mine
title: Mine
severity: P3
owner: "@backend-team"
"""
TIMER = """conditions:
  - {id: waits, kind: timer, started_by: [CIRCUIT_OPENED], ended_by: [CIRCUIT_CLOSED], after: 5m}
resolve: {kind: quiet}
"""
RATE = """slo: availability
conditions:
  - {id: rate, kind: rate, below: 0.9, window: 10m}
"""


def rule(text: str) -> AlertRule:
    """A rule file of which only the interesting part is written out."""
    faults: list[Fault] = []
    found = read_rule("mine.yaml", HEAD + text, faults)
    assert faults == []
    assert found is not None
    return found


def event(type: EventType, minutes: float, number: int | None = None) -> Event:
    """One event; with a number where the order of two at one instant matters."""
    return Event(
        type=type, at=START + minutes * MINUTE, agent_id="a", cli_type="codex", duration_ms=1, event_id=number
    )


def changes(watched: AlertRule, events: list[Event], *, minutes: float) -> list[tuple[Phase, float]]:
    """Every state that the rule's alert came to, and after how many minutes."""
    run = rehearsal(watched, events, defaults())
    assert list(run.run([START + minutes * MINUTE]))
    return [(change.to_state, (change.at - START) / MINUTE) for change in run.changes]


def test_what_begins_again_and_again_is_no_shorter_for_it() -> None:
    """A timer runs from the first start after the last end."""
    opened = [event(EventType.CIRCUIT_OPENED, minutes) for minutes in (0, 1, 2, 3, 4)]
    assert changes(rule(TIMER), opened, minutes=20) == [(Phase.FIRING, 5)]


def test_an_end_in_between_starts_a_timer_anew() -> None:
    """From the next start on."""
    events = [
        event(EventType.CIRCUIT_OPENED, 0),
        event(EventType.CIRCUIT_CLOSED, 4),
        event(EventType.CIRCUIT_OPENED, 6),
    ]
    assert changes(rule(TIMER), events, minutes=20) == [(Phase.FIRING, 11)]


def test_silence_freezes_an_alert_whose_end_is_that_nothing_holds() -> None:
    """Failures that are forgotten are no recovery, whatever the resolve condition."""
    failed = [event(EventType.EXECUTION_FAILED, 0)]
    frozen = rule(RATE + "resolve: {kind: quiet}\n")
    assert changes(frozen, failed, minutes=600) == [(Phase.FIRING, 0)]
    healthy = rule(RATE + "resolve: {kind: quiet}\nno_data: ok\n")
    assert changes(healthy, failed, minutes=600) == [(Phase.FIRING, 0), (Phase.RESOLVED, 10)]


def test_silence_neither_ends_what_is_pending_nor_makes_it_fire() -> None:
    """It is looked at again when something runs."""
    failed = [event(EventType.EXECUTION_FAILED, 0)]
    patient = rule(RATE + "resolve: {kind: quiet}\npending_for: 30m\n")
    assert changes(patient, failed, minutes=600) == [(Phase.PENDING, 0)]
    good = [event(EventType.EXECUTION_COMPLETED, 60)]
    assert changes(patient, failed + good, minutes=600) == [(Phase.PENDING, 0), (Phase.INACTIVE, 60)]


def test_a_recovery_that_is_held_may_not_break_off_in_between() -> None:
    """Its successes are forgotten after five minutes, long before half an hour is over."""
    held = rule(RATE + "resolve: {kind: rate, at_least: 0.9, window: 5m, min_successes: 1, hold: 30m}\n")
    events = [event(EventType.EXECUTION_FAILED, 0)]
    events += [event(EventType.EXECUTION_COMPLETED, minutes) for minutes in (10, 39)]
    assert changes(held, events, minutes=41) == [(Phase.FIRING, 0)]
    steady = events + [event(EventType.EXECUTION_COMPLETED, minutes) for minutes in range(12, 41, 3)]
    assert changes(held, steady, minutes=41) == [(Phase.FIRING, 0), (Phase.RESOLVED, 40)]


def test_of_two_events_at_one_instant_the_later_told_is_the_later() -> None:
    """Whatever order they are read in: a history comes newest first."""
    integrity = packaged_rule("data-integrity-failure")
    damaged, clean = (
        event(EventType.ORPHAN_DETECTED, 1, number=1),
        event(EventType.INTEGRITY_CHECK_PASSED, 1, number=2),
    )
    assert changes(integrity, [clean, damaged], minutes=5) == []


def test_a_level_is_told_with_what_its_event_said() -> None:
    """A page says what is wrong, and no more of it than fits."""
    watched = packaged_rule("environment-degraded")
    said = "binary: 'gemini' is not on PATH"
    for message, told in ((said, said), ("x" * 999, "x" * 299 + "…"), (None, "no ENV_RESTORED since")):
        degraded = Event(type=EventType.ENV_DEGRADED, at=START, cli_type="gemini", message=message)
        run = rehearsal(watched, [degraded], defaults())
        list(run.run([START + MINUTE]))
        assert run.changes[-1].reason.endswith(told)
