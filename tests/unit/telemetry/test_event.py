"""What an event is and which ones count."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kokino.telemetry.model import END_TYPES, Event, EventType

T = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "is_good", "is_bad"),
    [
        ("completed", True, False),
        ("failed", False, True),
        ("timeout", False, True),
        ("refused", False, True),
        ("lost", False, True),
        ("cancelled", False, False),
    ],
)
def test_each_end_state_counts_as_designed(state: str, is_good: bool, is_bad: bool) -> None:
    """Cancelled is neither good nor bad; refusing work is no way to be available."""
    event = Event(type=END_TYPES[state], at=T, agent_id="a", cli_type="c")
    assert (event.state, event.is_good, event.is_bad) == (state, is_good, is_bad)
    assert event.is_counted


@pytest.mark.parametrize("label", ["probe", "drill"])
def test_labelled_executions_never_count_for_users(label: str) -> None:
    """Our own traffic neither spends nor earns the users' error budget."""
    event = Event(type=EventType.EXECUTION_FAILED, at=T, agent_id="a", cli_type="c", label=label)
    assert not event.is_counted


def test_other_events_count_for_nothing() -> None:
    """A lock that timed out is told, but it is no execution's end."""
    assert not Event(type=EventType.LOCK_TIMEOUT, at=T, agent_id="a").is_counted


def test_a_state_that_contradicts_the_type_is_refused() -> None:
    """An event cannot say two things at once."""
    with pytest.raises(ValueError, match="tells of the state 'failed'"):
        Event(type=EventType.EXECUTION_FAILED, at=T, agent_id="a", cli_type="c", state="completed")


def test_an_end_without_its_agent_is_refused() -> None:
    """It could not be counted where people look for it."""
    with pytest.raises(ValueError, match="needs the agent and the CLI type"):
        Event(type=EventType.EXECUTION_FAILED, at=T, cli_type="c")
