"""What an agent may spend from one midnight (UTC) to the next, where its CLI tells what it costs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection

from kokino.agents.model import Agent
from kokino.agents.routing import Route, Way
from kokino.clock import iso
from kokino.executions import store


def within_limit(conn: Connection, agent: Agent, way: Route, now: datetime, *, is_new: bool = False) -> Route:
    """`way`, or a refusal where the agent has spent what it may today.

    What waits for something else stays in its queue: the money may be there when its turn comes. One that
    comes new (`is_new`) is told at once.
    """
    if agent.limits.spend_usd is None or not (way.way is Way.RUN or (is_new and way.way is Way.WAIT)):
        return way
    return decide(agent, way, store.spent_since(conn, agent.agent_id, midnight(now)), now)


def decide(agent: Agent, way: Route, spent: float, now: datetime) -> Route:
    """`way` while less is spent than the limit; a limit of 0 lets nothing run."""
    limit = agent.limits.spend_usd
    if limit is None or spent < limit:
        return way
    until = midnight(now) + timedelta(days=1)
    reason = (
        f"agent {agent.agent_id!r} has spent {dollars(spent)} of the {dollars(limit)} that it may today"
        f" (limits.spend_usd); it goes on at {iso(until)}, or as soon as the limit is raised"
    )
    return replace(way, way=Way.REFUSE, reason=reason, until=until, trial_of=None)


def dollars(amount: float) -> str:
    """``$12.34``; less than a cent with two digits that tell something: ``$0.00075``."""
    return f"${Decimal(f'{amount:.2g}'):f}" if 0 < amount < 0.01 else f"${amount:.2f}"


def midnight(now: datetime) -> datetime:
    """The beginning of the day, in UTC."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0)
