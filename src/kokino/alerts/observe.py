"""Count what a rule asks for, in the database or on a test's timeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import Connection

from kokino.alerts.rule import AlertRule
from kokino.clock import MILLISECOND
from kokino.slo.model import Objective
from kokino.telemetry import rollup_store
from kokino.telemetry.model import BAD, GOOD, PROBE, Counts


class Source(Protocol):
    """Ended executions in half-open windows."""

    def counts(self, since: datetime, until: datetime) -> Counts:
        """Users' executions."""
        ...

    def probes(self, since: datetime, until: datetime) -> Counts:
        """Labelled probes."""
        ...

    def oldest_at(self, since: datetime, until: datetime) -> datetime | None:
        """When the first of the users' executions ended."""
        ...

    def oldest_bad_at(self, since: datetime, until: datetime) -> datetime | None:
        """When the first bad one ended, a user's or a probe."""
        ...


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database holds."""

    conn: Connection

    def counts(self, since: datetime, until: datetime) -> Counts:
        return rollup_store.counts(self.conn, since, until)

    def probes(self, since: datetime, until: datetime) -> Counts:
        return rollup_store.count_events(self.conn, since, until, label=PROBE)

    def oldest_at(self, since: datetime, until: datetime) -> datetime | None:
        return rollup_store.oldest_at(self.conn, since, until, states=GOOD | BAD)

    def oldest_bad_at(self, since: datetime, until: datetime) -> datetime | None:
        return rollup_store.oldest_at(self.conn, since, until, states=BAD, labels=[PROBE])


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """Everything that a verdict is made of."""

    #: Users' executions by length of window, none from before the latest resolve.
    windows: Mapping[timedelta, Counts]
    #: Users' executions in the resolve window.
    recovery: Counts
    #: Probes in the resolve window.
    probes: Counts
    #: Users' executions over the objective's whole window, whatever was resolved.
    budget: Counts


def measure(
    rule: AlertRule, objective: Objective, source: Source, *, now: datetime, windows_from: datetime | None
) -> Measurements:
    """Count every window that `rule` looks at, as of `now`."""
    until = now + MILLISECOND

    def back(length: timedelta) -> Counts:
        return source.counts(window_start(now, length, windows_from), until)

    recovery_since = window_start(now, rule.resolve.window, windows_from)
    return Measurements(
        windows={length: back(length) for length in set(rule.windows())},
        recovery=back(rule.resolve.window),
        probes=source.probes(recovery_since, until),
        budget=source.counts(until - objective.window, until),
    )


def window_start(now: datetime, length: timedelta, windows_from: datetime | None) -> datetime:
    """The first instant of a window that ends with `now` itself and starts after the latest resolve.

    An execution that ended at t is in it until just before t + `length`.
    """
    since = now - length if windows_from is None else max(now - length, windows_from)
    return since + MILLISECOND
