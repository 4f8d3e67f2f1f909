"""The pages that stay up to date, and what each of their panels shows.

A panel is a frozen dataclass without the present time in it: as long as two of them are equal, nothing has
changed on the page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from kokino.api.services import Services
from kokino.executions import summary_store
from kokino.notify import store as outbox
from kokino.notify.model import Action, DeliveryState
from kokino.web.fleet import Agents, read_agents, read_executions, read_out_of_use
from kokino.web.levels import Levels, read_levels
from kokino.web.response import Alerts, read_alerts, read_receivers, read_resolved
from kokino.web.timeline import Story, read_incidents, read_story

#: What a page shows, by panel. The template of a panel bears its name.
Panels = Mapping[str, Any]
#: Deliveries shown with an incident.
LISTED_DELIVERIES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A page that can be read again and again."""

    #: Equal for equal pages: those who look at the same one share the reading.
    key: str
    read: Callable[[Connection, datetime], Panels]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """The whole broker in one line."""

    #: ``firing``, ``pending``, ``breached``, ``ok`` or ``no_data``: the worst that holds.
    state: str
    #: P1, P2 or P3 of the gravest firing alert.
    severity: str | None
    headline: str
    agents: int
    running: int
    queued: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What to do first."""

    #: There are no agents.
    is_needed: bool
    #: Where the broker is reached.
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One message of an incident, without its text."""

    receiver: str
    action: Action
    state: DeliveryState
    attempts: int
    queued_at: datetime
    delivered_at: datetime | None
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliveries:
    """Who was told of an incident, the latest first."""

    rows: tuple[Sent, ...]


def dashboard(given: Services) -> View:
    """Everything at a glance."""

    def read(conn: Connection, now: datetime) -> Panels:
        running = summary_store.running(conn)
        levels = read_levels(conn, now=now, objectives=given.objectives, running=running)
        alerts = read_alerts(conn, now=now, rules=given.rules)
        agents = read_agents(conn, cli_types=given.cli_types, running=running, now=now)
        return {
            "pulse": pulse(alerts, levels, agents),
            "alerts": alerts,
            "start": Start(is_needed=not agents.rows, url=given.public_url),
            "levels": levels,
            "incidents": read_incidents(conn, now=now),
            "agents": agents,
            "executions": read_executions(conn, running=running),
            "traffic": read_out_of_use(
                conn, cli_types=given.cli_types, probes_wanted=given.probes.wanted, now=now
            ),
            "recent": read_resolved(conn, now=now, rules=given.rules),
            "receivers": read_receivers(conn, routing=given.desk.routing),
        }

    return View(key="dashboard", read=read)


def incident(number: int) -> View:
    """One incident; reading it raises `NotFound` where there is none."""

    def read(conn: Connection, now: datetime) -> Panels:
        story: Story = read_story(conn, number, now=now)
        return {"incident": story, "deliveries": _deliveries(conn, number)}

    return View(key=f"incident {number}", read=read)


def pulse(alerts: Alerts, levels: Levels, agents: Agents) -> Pulse:
    """The worst that holds, in one line."""
    firing = [row for row in alerts.active if row.state == "firing"]
    state, headline = _verdict(alerts, levels)
    return Pulse(
        state=state,
        severity=firing[0].severity if firing else None,
        headline=headline,
        agents=len(agents.rows) + agents.more,
        running=sum(row.running_since is not None for row in agents.rows),
        queued=sum(row.queued for row in agents.rows),
    )


def _verdict(alerts: Alerts, levels: Levels) -> tuple[str, str]:
    firing = [row for row in alerts.active if row.state == "firing"]
    if firing:
        more = f" and {len(firing) - 1} more" if len(firing) > 1 else ""
        return "firing", f"{firing[0].severity}: {firing[0].title}{more}"
    if alerts.active:
        return "pending", f"{alerts.active[0].title} is about to fire"
    states = {levels.availability.state, levels.latency.state}
    if "breached" in states:
        return "breached", "Below target"
    if states == {"no_data"}:
        return "no_data", "Nothing has run yet"
    return "ok", "All measured service levels are met"


def _deliveries(conn: Connection, number: int) -> Deliveries:
    found = outbox.deliveries(conn, incident=number, limit=LISTED_DELIVERIES)
    rows = [Sent(**{name: getattr(one, name) for name in Sent.__slots__}) for one in found]
    return Deliveries(rows=tuple(rows))
