"""The panels of incidents: their timelines, with the steps that each entry speaks of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from kokino.alerts import store as alert_store
from kokino.alerts.model import Phase
from kokino.incidents import store as incident_store
from kokino.incidents.evidence import Evidence
from kokino.incidents.model import EntryKind, Incident, TimelineEntry
from kokino.playbooks import evidence_store
from kokino.playbooks.model import Section
from kokino.web import words
from kokino.web.response import is_acknowledged_at

#: Incidents told in full on the dashboard; there are seldom two.
TOLD_INCIDENTS = 3
#: Characters of a step's output on the dashboard; the incident's own page has all.
SHORT_OUTPUT = 3_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A playbook step that an entry tells of."""

    #: Names it on the page.
    key: str
    step_id: str
    state: str
    exit_code: int | None
    took: str
    block: str
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A timeline entry, with what can be unfolded below it."""

    entry_id: int
    at: datetime
    kind: str
    author: str
    text: str
    steps: tuple[Step, ...] = ()
    #: The patterns that were looked at: (pattern, verdict, why).
    considered: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """An incident from its first entry to its last."""

    incident: Incident
    entries: tuple[Entry, ...]
    #: Its alerts fire, and nobody has said that they look after them.
    is_waiting: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Incidents:
    """The incidents that are not over, the oldest first."""

    stories: tuple[Story, ...]
    #: Unresolved ones that are not told here.
    more: int


def read_incidents(conn: Connection, *, now: datetime) -> Incidents:
    """What is going on."""
    found = incident_store.unresolved(conn)
    stories = [_story(conn, incident, now, SHORT_OUTPUT) for incident in found[:TOLD_INCIDENTS]]
    return Incidents(stories=tuple(stories), more=len(found) - len(stories))


def read_story(conn: Connection, number: int, *, now: datetime) -> Story:
    """One incident, whole. Raises `NotFound`."""
    return _story(conn, incident_store.get(conn, number), now)


def _story(conn: Connection, incident: Incident, now: datetime, longest: int | None = None) -> Story:
    entries = incident_store.entries(conn, incident.number)
    covered = set(incident_store.episodes(conn, incident.number))
    firing = [alert for alert in alert_store.listed(conn, (Phase.FIRING,)) if alert.episode_id in covered]
    return Story(
        incident=incident,
        entries=tuple(_entry(conn, incident.number, entry, longest) for entry in entries),
        is_waiting=any(not is_acknowledged_at(alert, now) for alert in firing),
    )


def _entry(conn: Connection, number: int, entry: TimelineEntry, longest: int | None) -> Entry:
    return Entry(
        entry_id=entry.entry_id,
        at=entry.at,
        kind=entry.kind.value,
        author=entry.author,
        text=entry.text,
        steps=tuple(_step(entry, one, longest) for one in _told(conn, number, entry)),
        considered=_considered(entry),
    )


def _told(conn: Connection, number: int, entry: TimelineEntry) -> list[Evidence]:
    """The steps that an entry speaks of."""
    match entry.kind:
        case EntryKind.EVIDENCE:
            return evidence_store.last_runs(conn, number, until=entry.at, section=Section.INVESTIGATE.value)
        case EntryKind.VERIFIED:
            return evidence_store.last_runs(conn, number, until=entry.at, section=Section.VERIFY.value)
        case _ if "step" in entry.data:
            return evidence_store.last_runs(conn, number, until=entry.at, step_ids=[str(entry.data["step"])])
    return []


def _step(entry: TimelineEntry, ran: Evidence, longest: int | None) -> Step:
    output = "\n".join(part for part in (ran.output.rstrip(), ran.errors.rstrip()) if part)
    took = None if ran.ended_at is None else int((ran.ended_at - ran.started_at).total_seconds() * 1_000)
    return Step(
        key=f"step-{entry.entry_id}-{ran.step_id}",
        step_id=ran.step_id,
        state=ran.state,
        exit_code=ran.exit_code,
        took=words.milliseconds(took),
        block=ran.block.rstrip(),
        output=output if longest is None else words.cut(output, longest),
    )


def _considered(entry: TimelineEntry) -> tuple[tuple[str, str, str], ...]:
    found: list[Mapping[str, Any]] = entry.data.get("considered", []) if entry.data else []
    return tuple((str(one["pattern"]), str(one["verdict"]), str(one["why"])) for one in found)
