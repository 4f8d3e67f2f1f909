"""The engine's module that opens incidents for alerts and resolves them when the alerts are over."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from kokino.agents import traffic_store
from kokino.alerts import episode_store
from kokino.alerts import store as alert_store
from kokino.alerts.episode import Episode
from kokino.alerts.inhibition import Inhibition
from kokino.alerts.model import Transition
from kokino.alerts.quiet import inhibited_by
from kokino.barrier import Barrier
from kokino.incidents import impact_store, lessons, store, words
from kokino.incidents.evidence import PlaybookFacts, Repair
from kokino.incidents.model import (
    BROKER,
    REVIEW_WITHIN,
    ActionItem,
    EntryKind,
    Incident,
    IncidentState,
    incident_id,
)
from kokino.incidents.rules import RuleFacts, title
from kokino.slo.model import Objective
from kokino.storage import Storage


class Incidents:
    """Keeps one incident for each outage: every firing P1 or P2 episode belongs to one."""

    name = "incidents"

    def __init__(
        self,
        storage: Storage,
        rules: Mapping[str, RuleFacts],
        *,
        availability: Objective,
        runs: PlaybookFacts,
    ) -> None:
        """`rules` by rule id; an incident's cost in error budget is measured by `availability`.

        `runs` knows how far the playbooks are.
        """
        self._storage = storage
        self._rules = rules
        self._availability = availability
        self._runs = runs

    async def run(self, now: datetime) -> datetime | None:
        """Open, join and resolve what is due; only a symptom waits for time alone.

        Raises `Faults` once each episode and incident had its turn.
        """
        with Barrier() as barrier:
            uncovered = await self._storage.read(partial(self._uncovered, now=now))
            await barrier.each(uncovered, partial(self._cover, now=now), name=lambda one: one.episode_id)
            unresolved = await self._storage.read(_unresolved)
            await barrier.each(unresolved, self._follow, name=incident_id)
        return await self._storage.read(partial(self._due_at, now=now))

    def _due_at(self, conn: Connection, now: datetime) -> datetime | None:
        """When the first symptom opens an incident of its own, if it lasts until then."""
        ends = [
            symptom.ends_at
            for episode in episode_store.firing(conn)
            if self._opens_incident(episode) and store.of_episode(conn, episode.episode_id) is None
            if (symptom := self._symptom(conn, episode, now)) is not None and symptom.ends_at is not None
        ]
        return min(ends, default=None)

    async def _cover(self, episode: Episode, now: datetime) -> None:
        await self._storage.write(partial(self._join_or_open, episode=episode, now=now))

    async def _follow(self, number: int) -> None:
        if await self._storage.read(partial(self._has_news, number=number)):
            await self._storage.write(partial(self._take_down, number=number))

    def _uncovered(self, conn: Connection, now: datetime) -> list[Episode]:
        return [
            episode
            for episode in episode_store.firing(conn)
            if self._opens_incident(episode)
            and store.of_episode(conn, episode.episode_id) is None
            and self._symptom(conn, episode, now) is None
        ]

    def _opens_incident(self, episode: Episode) -> bool:
        rule = self._rules.get(episode.rule_id)
        return rule is not None and str(rule.severity) in REVIEW_WITHIN

    def _symptom(self, conn: Connection, episode: Episode, now: datetime) -> Inhibition | None:
        """What makes it a symptom: another alert's incident is about the same trouble."""
        alert = alert_store.get(conn, episode.alert_id)
        return inhibited_by(conn, alert, self._rules, now=now)

    def _join_or_open(self, conn: Connection, episode: Episode, now: datetime) -> None:
        if store.of_episode(conn, episode.episode_id) is not None:
            return
        incident = _same_outage(conn, episode) or self._open(conn, episode, now)
        store.join(conn, incident.number, episode_id=episode.episode_id, alert_id=episode.alert_id)
        start = episode_store.start(conn, episode.episode_id)
        measured = episode.measured if start is None else start.measured
        store.append(
            conn,
            incident.number,
            at=episode.fired_at,
            kind=EntryKind.FIRED,
            author=BROKER,
            text=f"Alert fired: {episode.rule_id if start is None else start.reason}",
            data={"episode": episode.episode_id, "rule": episode.rule_id, "measured": dict(measured)},
        )
        if incident.state is IncidentState.MITIGATED:
            text = "Reopened: the alert fired again."
            store.reopen(conn, incident.number, at=episode.fired_at, author=BROKER, text=text)

    def _open(self, conn: Connection, episode: Episode, now: datetime) -> Incident:
        rule = self._rules[episode.rule_id]
        return store.open_incident(
            conn,
            rule_id=episode.rule_id,
            labels=episode.labels,
            title=title(rule.title, episode.labels),
            severity=str(rule.severity),
            owner=rule.owner,
            opened_at=episode.fired_at,
            now=now,
        )

    def _has_news(self, conn: Connection, number: int) -> bool:
        """True when it is over, or one of its episodes has ended since it was last looked at."""
        ends = _ends(conn, number)
        return bool(_news(conn, number, ends)) or self._over_at(conn, number, ends) is not None

    def _take_down(self, conn: Connection, number: int) -> None:
        incident = store.get(conn, number)
        if incident.state.is_over:
            return
        ends = _ends(conn, number)
        for episode_id, end in _news(conn, number, ends).items():
            text = f"Alert cleared: {end.reason}"
            data = {"episode": episode_id, "measured": dict(end.measured)}
            store.append(conn, number, at=end.at, kind=EntryKind.CLEARED, author=BROKER, text=text, data=data)
        if (over_at := self._over_at(conn, number, ends)) is not None:
            self._resolve(conn, incident, at=max(over_at, incident.mitigated_at or over_at))

    def _over_at(
        self, conn: Connection, number: int, ends: Mapping[str, Transition | None]
    ) -> datetime | None:
        """When the last of its alerts cleared; None while one fires, or a repair has yet to be verified."""
        known = [end.at for end in ends.values() if end is not None]
        if len(known) < len(ends) or self._runs.repair(conn, number) is Repair.REPAIRING:
            return None
        return max(known)

    def _resolve(self, conn: Connection, incident: Incident, *, at: datetime) -> None:
        course = self._course(conn, incident, at)
        cause = lessons.found_cause(course.finding)
        found = f"; root cause: {course.finding.cause}" if cause and course.finding else ""
        impact = impact_store.impact(conn, incident, until=at, availability=self._availability)
        store.resolve(
            conn,
            incident.number,
            at=at,
            author=BROKER,
            text=f"Resolved after {words.length(course.lasted)}{found}",
            root_cause=cause,
            action_items=[ActionItem(text=text) for text in lessons.action_items(course)],
            data={"impact": impact.to_data()},
        )

    def _course(self, conn: Connection, incident: Incident, ended_at: datetime) -> lessons.Course:
        entries = store.entries(conn, incident.number)
        kinds = {entry.kind for entry in entries}
        # A playbook that still restores takes its fallback back by itself.
        is_restoring = self._runs.repair(conn, incident.number) is Repair.RESTORING
        fallbacks = {} if is_restoring else traffic_store.disabled(conn)
        return lessons.Course(
            rule_id=incident.rule_id,
            lasted=ended_at - incident.opened_at,
            finding=lessons.latest_pattern(entries),
            disabled={name: off.reason for name, off in fallbacks.items() if off.since >= incident.opened_at},
            was_repaired=EntryKind.ACTION in kinds,
            was_acknowledged=EntryKind.ACKNOWLEDGED in kinds,
        )


def _same_outage(conn: Connection, episode: Episode) -> Incident | None:
    for incident in store.unresolved(conn):
        if incident.rule_id == episode.rule_id and dict(incident.labels) == dict(episode.labels):
            return incident
    return None


def _unresolved(conn: Connection) -> list[int]:
    return [incident.number for incident in store.unresolved(conn)]


def _ends(conn: Connection, number: int) -> dict[str, Transition | None]:
    """How each of its episodes ended; None for one that goes on."""
    return {id: episode_store.end(conn, id) for id in store.episodes(conn, number)}


def _news(conn: Connection, number: int, ends: Mapping[str, Transition | None]) -> dict[str, Transition]:
    told = {
        entry.data.get("episode") for entry in store.entries(conn, number) if entry.kind is EntryKind.CLEARED
    }
    return {id: end for id, end in ends.items() if end is not None and id not in told}
