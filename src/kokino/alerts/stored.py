"""What a rule asks for, from the database. What a look costs does not grow with what happened."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from kokino.alerts import received_store
from kokino.alerts.model import fingerprint
from kokino.alerts.observe import Labels, Moment, View, bears, distinct
from kokino.alerts.received import Told
from kokino.alerts.rule import AlertRule, By
from kokino.clock import MILLISECOND
from kokino.slo.model import SloId
from kokino.telemetry import latest_store, rollup_store, window_store
from kokino.telemetry import store as telemetry_store
from kokino.telemetry.latest_store import Latest
from kokino.telemetry.model import EVERYBODY, PROBE, Counts, Memory, Owner, Running, Scope

#: Who knows what runs; executions are a noun above this one.
KnowsRunning = Callable[[Connection], Sequence[Running]]

_SCOPES = {SloId.CORRECTNESS: Scope.SHADOW, SloId.INTEGRITY: Scope.CHECKS}


@dataclass(slots=True)
class Stored:
    """One look's answers. Each question is put to the database once, whatever number of alerts ask it."""

    conn: Connection
    knows_running: KnowsRunning
    _latest: dict[frozenset[str], list[Latest]] = field(default_factory=dict)
    _first: dict[Hashable, datetime | None] = field(default_factory=dict)
    _running: list[Running] | None = None

    def counts(self, view: View, since: datetime, until: datetime, labels: Labels) -> Counts:
        owner = Owner(_SCOPES[view.slo]) if view.slo in _SCOPES else _owner(labels)
        if owner.scope is Scope.CHECKS:
            return rollup_store.totals(self.conn, since, until, owner.scope).counts
        if view.slo is SloId.RESOURCES:
            peaks = window_store.memory(self.conn, since, until, owner)
            return Counts(good=peaks.within, bad=peaks.over)
        if view.within is not None:
            limit_ms = view.within // MILLISECOND
            return window_store.within(self.conn, since, until, limit_ms, owner)
        return window_store.counts(self.conn, since, until, owner)

    def probes(self, since: datetime, until: datetime, labels: Labels) -> Counts:
        return window_store.labelled(self.conn, since, until, PROBE, **_names(labels))

    def memory(self, since: datetime, until: datetime, labels: Labels) -> Memory:
        return window_store.memory(self.conn, since, until, _owner(labels))

    def how_many(self, types: Collection[str], since: datetime, until: datetime, labels: Labels) -> int:
        return window_store.how_many(self.conn, since, until, types, **_names(labels))

    def last(self, types: Collection[str], until: datetime, labels: Labels) -> Moment | None:
        found = [
            Moment(one.at, one.event_id)
            for one in self._last_of(types)
            if one.at < until and bears(labels, one.agent_id, one.cli_type)
        ]
        return max(found, default=None)

    def message(self, moment: Moment) -> str | None:
        return telemetry_store.message(self.conn, moment.number)

    def running(self, until: datetime, labels: Labels) -> Sequence[datetime]:
        if self._running is None:
            self._running = sorted(self.knows_running(self.conn), key=lambda one: one.started_at)
        return [
            one.started_at
            for one in self._running
            if one.started_at < until and bears(labels, one.agent_id, one.cli_type)
        ]

    def first_at(
        self, types: Collection[str], since: datetime, until: datetime, labels: Labels, *, probes: bool
    ) -> datetime | None:
        key = (frozenset(types), since, until, frozenset(labels.items()), probes)
        if key not in self._first:
            found = [
                window_store.first_at(self.conn, since, until, types, label=label, **_names(labels))
                for label in ([None, PROBE] if probes else [None])
            ]
            self._first[key] = min((at for at in found if at is not None), default=None)
        return self._first[key]

    def told(self, labels: Labels, until: datetime) -> Told | None:
        found = received_store.find(self.conn, fingerprint("", labels))
        return found if found is not None and found.at < until else None

    def bearers(self, rule: AlertRule, until: datetime) -> Sequence[Labels]:
        if (received := rule.received) is not None:
            told = received_store.firing(self.conn, until)
            return [one.labels for one in told if received.fits(one.labels)]
        if not rule.by:
            return [{}]
        if rule.begun_by():
            found = [(one.agent_id, one.cli_type) for one in self._last_of(rule.begun_by())]
            return distinct(rule, found)
        [by] = rule.by
        scope = Scope.AGENT if by is By.AGENT else Scope.CLI
        return [{by: name} for name in window_store.ids(self.conn, scope)]

    def _last_of(self, types: Collection[str]) -> list[Latest]:
        asked = frozenset(map(str, types))
        if asked not in self._latest:
            self._latest[asked] = latest_store.of_types(self.conn, asked)
        return self._latest[asked]


def _owner(labels: Labels) -> Owner:
    if By.AGENT in labels:
        return Owner(Scope.AGENT, labels[By.AGENT])
    if By.CLI_TYPE in labels:
        return Owner(Scope.CLI, labels[By.CLI_TYPE])
    return EVERYBODY


def _names(labels: Labels) -> dict[str, str | None]:
    return {"agent_id": labels.get(By.AGENT), "cli_type": labels.get(By.CLI_TYPE)}
