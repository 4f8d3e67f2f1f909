"""What a spend limit lets through."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from kokino.agents.model import Agent, Limits
from kokino.agents.routing import Route, Way
from kokino.executions.queue.spending import decide, dollars, midnight

NOW = datetime(2026, 1, 5, 9, 0, 0, 250_000, tzinfo=UTC)
RUN = Route(way=Way.RUN, cli_type="claude", account="team", reason="its own CLI type")


def agent(limit: float | None) -> Agent:
    """An agent that may spend so much."""
    return Agent(
        agent_id="writer",
        cli_type="claude",
        cwd=Path("/work"),
        account="team",
        limits=Limits(spend_usd=limit),
        registered_at=NOW,
    )


@pytest.mark.parametrize(
    ("limit", "spent", "way"),
    [
        pytest.param(None, 1_000.0, Way.RUN, id="no limit"),
        pytest.param(5.0, 4.99, Way.RUN, id="something is left"),
        pytest.param(5.0, 5.0, Way.REFUSE, id="nothing is left"),
        pytest.param(5.0, 7.5, Way.REFUSE, id="the last one took more than was left"),
        pytest.param(0.0, 0.0, Way.REFUSE, id="a limit of nothing"),
    ],
)
def test_what_a_limit_lets_through(limit: float | None, spent: float, way: Way) -> None:
    """It runs as long as less is spent than it may."""
    assert decide(agent(limit), RUN, spent, NOW).way is way


def test_who_is_refused_is_told_how_much_and_until_when() -> None:
    """The day is that of UTC."""
    found = decide(agent(5.0), RUN, 5.03, NOW)
    assert found.until == datetime(2026, 1, 6, tzinfo=UTC)
    assert found.reason == (
        "agent 'writer' has spent $5.03 of the $5.00 that it may today (limits.spend_usd);"
        " it goes on at 2026-01-06T00:00:00.000Z, or as soon as the limit is raised"
    )


@pytest.mark.parametrize(
    ("amount", "told"),
    [(0.0, "$0.00"), (12.345, "$12.35"), (0.01, "$0.01"), (0.00075, "$0.00075"), (1e-7, "$0.0000001")],
)
def test_small_amounts_tell_something(amount: float, told: str) -> None:
    """Two agents that differ by a factor of ten are not both told as nothing."""
    assert dollars(amount) == told


def test_a_day_begins_at_midnight() -> None:
    """To the millisecond."""
    assert midnight(NOW) == datetime(2026, 1, 5, tzinfo=UTC)
    assert midnight(midnight(NOW)) == midnight(NOW)
