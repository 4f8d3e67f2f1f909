"""The engine's module that opens incidents for alerts and resolves them when the alerts are over."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from kokino.agents import traffic_store
from kokino.incidents import episode_store, evidence_store, impact_store, lessons, store, words
from kokino.incidents.episode import Episode, RuleFacts, Turn, title
from kokino.incidents.model import BROKER, REVIEW_WITHIN, ActionItem, EntryKind, Incident, IncidentState
from kokino.slo.defaults import defaults
from kokino.slo.model import Objective
from kokino.storage import Storage


class Incidents:
    """Keeps one incident for each outage: every firing P1 or P2 episode belongs to one."""

    name = "incidents"

    def __init__(
        self, storage: Storage, rules: Mapping[str, RuleFacts], *, availability: Objective | None = None
    ) -> None:
        """`rules` by rule id; an incident's cost in error budget is measured by `availability`."""
        self._storage = storage
        self._rules = rules
        self._availability = availability or defaults().availability

    async def run(self, now: datetime) -> datetime | None:
        """Open, join and resolve what is due; nothing here waits for time alone."""
        for episode in await self._storage.read(self._uncovered):
            await self._storage.write(partial(self._cover, episode=episode, now=now))
        for number in await self._storage.read(_with_news):
            await self._storage.write(partial(self._follow, number=number))
        return None

    def _uncovered(self, conn: Connection) -> list[Episode]:
        return [
            episode
            for episode in episode_store.firing(conn)
            if self._opens_incident(episode) and store.of_episode(conn, episode.episode_id) is None
        ]

    def _opens_incident(self, episode: Episode) -> bool:
        rule = self._rules.get(episode.rule_id)
        return rule is not None and str(rule.severity) in REVIEW_WITHIN

    def _cover(self, conn: Connection, episode: Episode, now: datetime) -> None:
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

    def _follow(self, conn: Connection, number: int) -> None:
        incident = store.get(conn, number)
        if incident.state.is_over:
            return
        ends = {id: episode_store.end(conn, id) for id in store.episodes(conn, number)}
        for episode_id, end in _news(conn, number, ends).items():
            text = f"Alert cleared: {end.reason}"
            data = {"episode": episode_id, "measured": dict(end.measured)}
            store.append(conn, number, at=end.at, kind=EntryKind.CLEARED, author=BROKER, text=text, data=data)
        if (over_at := _over_at(conn, number, ends)) is not None:
            self._resolve(conn, incident, at=max(over_at, incident.mitigated_at or over_at))

    def _resolve(self, conn: Connection, incident: Incident, *, at: datetime) -> None:
        course = _course(conn, incident, at)
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


def _same_outage(conn: Connection, episode: Episode) -> Incident | None:
    for incident in store.unresolved(conn):
        if incident.rule_id == episode.rule_id and dict(incident.labels) == dict(episode.labels):
            return incident
    return None


def _over_at(conn: Connection, number: int, ends: Mapping[str, Turn | None]) -> datetime | None:
    """When the last of its alerts cleared; None while one fires, or a playbook has yet to verify its repair."""
    known = [end.at for end in ends.values() if end is not None]
    if len(known) < len(ends) or evidence_store.is_repairing(conn, number):
        return None
    return max(known)


def _with_news(conn: Connection) -> list[int]:
    """Unresolved incidents that are over, or of which an episode has ended since they were last looked at."""
    found = []
    for incident in store.unresolved(conn):
        ends = {id: episode_store.end(conn, id) for id in store.episodes(conn, incident.number)}
        if _news(conn, incident.number, ends) or _over_at(conn, incident.number, ends) is not None:
            found.append(incident.number)
    return found


def _news(conn: Connection, number: int, ends: Mapping[str, Turn | None]) -> dict[str, Turn]:
    told = {
        entry.data.get("episode") for entry in store.entries(conn, number) if entry.kind is EntryKind.CLEARED
    }
    return {id: end for id, end in ends.items() if end is not None and id not in told}


def _course(conn: Connection, incident: Incident, ended_at: datetime) -> lessons.Course:
    entries = store.entries(conn, incident.number)
    kinds = {entry.kind for entry in entries}
    # A playbook that still restores takes its fallback back by itself.
    is_restored = evidence_store.is_restoring(conn, incident.number)
    fallbacks = {} if is_restored else traffic_store.disabled(conn)
    return lessons.Course(
        rule_id=incident.rule_id,
        lasted=ended_at - incident.opened_at,
        finding=lessons.latest_pattern(entries),
        disabled={name: off.reason for name, off in fallbacks.items() if off.since >= incident.opened_at},
        was_repaired=EntryKind.ACTION in kinds,
        was_acknowledged=EntryKind.ACKNOWLEDGED in kinds,
    )
