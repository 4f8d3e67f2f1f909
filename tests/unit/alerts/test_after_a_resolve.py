"""What was answered for does not fire again in the instant of its resolve."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from kokino.alerts.model import Phase
from kokino.alerts.rehearse import START, rehearsal
from kokino.alerts.rule import AlertRule, NoData
from kokino.alerts.rulefile import packaged_rule
from kokino.slo.defaults import defaults
from kokino.telemetry.model import Event, EventType

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def completed(at: timedelta, took: timedelta = SECOND) -> Event:
    """An execution that succeeded."""
    return Event(
        type=EventType.EXECUTION_COMPLETED,
        at=START + at,
        agent_id="a",
        cli_type="codex",
        duration_ms=took // timedelta(milliseconds=1),
    )


def hanging(number: int) -> Event:
    """The start of one that never ends."""
    return Event(
        type=EventType.EXECUTION_STARTED,
        at=START,
        agent_id="a",
        cli_type="codex",
        execution_id=f"exec-{number}",
    )


def states(rule: AlertRule, events: list[Event], until: timedelta) -> list[tuple[Phase, timedelta]]:
    """Every state that the rule's alert came to, and when."""
    run = rehearsal(rule, events, defaults())
    assert list(run.run([START, START + until])) == [START, START + until]
    return [(change.to_state, change.at - START) for change in run.changes]


def test_silence_is_a_breach_again_only_after_a_whole_window() -> None:
    """Just after a resolve every window is empty, for it begins there."""
    rule = packaged_rule("availability-slo-breach").model_copy(update={"no_data": NoData.ALERT})
    worked = [completed(2 * HOUR + number * SECOND) for number in range(3)]
    resolved = 2 * HOUR + 2 * SECOND
    assert states(rule, worked, 4 * HOUR) == [
        (Phase.FIRING, timedelta(0)),
        (Phase.RESOLVED, resolved),
        (Phase.FIRING, resolved + HOUR),
    ]


def test_what_hung_at_a_resolve_does_not_fire_again_by_itself() -> None:
    """57 of 60 were quick, which is a recovery: from there on alone it would be three of three."""
    rule = packaged_rule("latency-slo-breach")
    quick = list(_quick(60))
    assert states(rule, [*(hanging(number) for number in range(3)), *quick], 20 * MINUTE) == [
        (Phase.FIRING, MINUTE + timedelta(milliseconds=1)),
        (Phase.RESOLVED, quick[56].at - START),
    ]


def _quick(count: int) -> Iterator[Event]:
    for number in range(count):
        yield completed(5 * MINUTE + number * SECOND)
