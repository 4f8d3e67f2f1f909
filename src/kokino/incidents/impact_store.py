"""Counts the executions that an incident cost."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection

from kokino.alerts import episode_store
from kokino.incidents import store
from kokino.incidents.impact import Impact
from kokino.incidents.model import Incident
from kokino.slo.budget import budget
from kokino.slo.model import Objective
from kokino.telemetry import rollup_store, window_store
from kokino.telemetry.model import BAD_ENDS, Counts, Scope

#: The rules look back an hour at most to find what makes them fire.
LOOK_BACK = timedelta(hours=1)
#: Windows of the telemetry end before their last instant; ours has it.
_INSTANT = timedelta(milliseconds=1)


def impact(conn: Connection, incident: Incident, *, until: datetime, availability: Objective) -> Impact:
    """What the incident cost up to `until`, from the first failure that its alert can have counted."""
    end = until + _INSTANT
    since = window_store.first_at(conn, _horizon(conn, incident), end, BAD_ENDS)
    if since is None:
        return Impact(since=None, until=until, failed=0, valid=0)
    by_cli = rollup_store.totals_by(conn, since, end, Scope.CLI)
    by_agent = rollup_store.totals_by(conn, since, end, Scope.AGENT)
    everything = rollup_store.totals(conn, since, end, Scope.ALL)
    window = window_store.counts(conn, end - availability.window, end)
    own = Counts(good=window.total - everything.bad, bad=everything.bad)
    return Impact(
        since=since,
        until=until,
        failed=everything.bad,
        valid=everything.total,
        kinds=dict(everything.kinds),
        cli_types={name: totals.bad for name, totals in by_cli.items() if totals.bad},
        agents=tuple(sorted(name for name, totals in by_agent.items() if totals.bad)),
        budget_spent=budget(own, availability).consumed,
        budget_left=budget(window, availability).remaining,
    )


def _horizon(conn: Connection, incident: Incident) -> datetime:
    """Failures of the same alert's earlier episode are its own incident's."""
    alert_ids = store.alert_ids(conn, incident.number)
    earlier = episode_store.last_end(conn, alert_ids, until=incident.opened_at)
    look_back = incident.opened_at - LOOK_BACK
    return look_back if earlier is None else max(earlier, look_back)
