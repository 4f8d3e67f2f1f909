"""Incidents, their episodes and timelines in the database. A change and its entry are one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, exists, insert, select, update

from kokino.errors import NotFound
from kokino.incidents.model import (
    BROKER,
    REVIEW_WITHIN,
    ActionItem,
    Change,
    EntryKind,
    Incident,
    IncidentState,
    TimelineEntry,
    after,
    document_name,
    incident_id,
)
from kokino.storage.schema import incident_episodes, incidents, timeline

OVER = [state.value for state in IncidentState if state.is_over]


def get(conn: Connection, number: int) -> Incident:
    """The incident. Raises `NotFound`."""
    row = conn.execute(select(incidents).where(incidents.c.number == number)).one_or_none()
    if row is None:
        raise NotFound(f"there is no incident {incident_id(number)}")
    return _incident(row)


def page(
    conn: Connection, *, limit: int, before: int | None = None, state: IncidentState | None = None
) -> list[Incident]:
    """At most `limit` incidents, the newest first, with numbers below `before`."""
    query = select(incidents).order_by(incidents.c.number.desc()).limit(limit)
    if before is not None:
        query = query.where(incidents.c.number < before)
    if state is not None:
        query = query.where(incidents.c.state == state.value)
    return _incidents(conn, query)


def unresolved(conn: Connection) -> list[Incident]:
    """Open and mitigated incidents, the oldest first."""
    return _incidents(
        conn, select(incidents).where(incidents.c.state.not_in(OVER)).order_by(incidents.c.number)
    )


def of_episode(conn: Connection, episode_id: str) -> Incident | None:
    """The incident that covers an alert's episode."""
    query = select(incidents).join(incident_episodes).where(incident_episodes.c.episode_id == episode_id)
    row = conn.execute(query).one_or_none()
    return None if row is None else _incident(row)


def episodes(conn: Connection, number: int) -> list[str]:
    """Ids of the episodes that an incident covers."""
    query = select(incident_episodes.c.episode_id).where(incident_episodes.c.incident == number)
    return list(conn.scalars(query.order_by(incident_episodes.c.episode_id)))


def alert_ids(conn: Connection, number: int) -> list[str]:
    """Ids of the alerts whose episodes an incident covers."""
    query = select(incident_episodes.c.alert_id).where(incident_episodes.c.incident == number)
    return list(conn.scalars(query.distinct()))


class OpenEpisode(NamedTuple):
    """An episode of an open incident."""

    rule_id: str
    alert_id: str
    episode_id: str
    #: The incident's number.
    incident: int


def open_episodes(conn: Connection) -> list[OpenEpisode]:
    """The episodes that open incidents cover, those of the oldest incident first."""
    query = (
        select(incidents.c.rule_id, incident_episodes.c.alert_id, incident_episodes.c.episode_id)
        .add_columns(incident_episodes.c.incident)
        .join(incidents, incidents.c.number == incident_episodes.c.incident)
        .where(incidents.c.state == IncidentState.OPEN.value)
        .order_by(incident_episodes.c.incident, incident_episodes.c.episode_id)
    )
    return [OpenEpisode(*row) for row in conn.execute(query)]


def entries(
    conn: Connection, number: int, *, after_entry: int = 0, limit: int | None = None
) -> list[TimelineEntry]:
    """The timeline in the order of writing, from behind `after_entry`."""
    query = (
        select(timeline)
        .where(timeline.c.incident == number, timeline.c.entry_id > after_entry)
        .order_by(timeline.c.entry_id)
        .limit(limit)
    )
    return [_entry(row) for row in conn.execute(query)]


def hand_overs(conn: Connection, *, after_entry: int) -> list[TimelineEntry]:
    """Entries in which a playbook hands over to people, with ids above `after_entry`, in order."""
    query = (
        select(timeline)
        .where(timeline.c.kind == EntryKind.HANDED_OVER.value, timeline.c.entry_id > after_entry)
        .order_by(timeline.c.entry_id)
    )
    return [_entry(row) for row in conn.execute(query)]


def undocumented(conn: Connection) -> list[int]:
    """Numbers of the incidents whose file is behind their timeline."""
    is_ahead = exists().where(
        timeline.c.incident == incidents.c.number, timeline.c.entry_id > incidents.c.documented_up_to
    )
    query = select(incidents.c.number).where(is_ahead).order_by(incidents.c.number)
    return list(conn.scalars(query))


def open_incident(
    conn: Connection,
    *,
    rule_id: str,
    labels: Mapping[str, str],
    title: str,
    severity: str,
    owner: str,
    opened_at: datetime,
    now: datetime,
) -> Incident:
    """Open an incident that began at `opened_at` and is written down at `now`."""
    values = {
        "rule_id": rule_id,
        "labels": dict(labels),
        "title": title,
        "severity": severity,
        "owner": owner,
        "state": IncidentState.OPEN.value,
        "opened_at": opened_at,
        "action_items": [],
        "document": _free_name(conn, opened_at),
        "documented_up_to": 0,
    }
    number: int = conn.execute(insert(incidents).values(values).returning(incidents.c.number)).scalar_one()
    append(
        conn,
        number,
        at=now,
        kind=EntryKind.OPENED,
        author=BROKER,
        text=f"{incident_id(number)} opened for {owner}.",
    )
    return get(conn, number)


def join(conn: Connection, number: int, *, episode_id: str, alert_id: str) -> None:
    """Let an incident cover an episode; the caller tells of it in the timeline."""
    values = {"episode_id": episode_id, "alert_id": alert_id, "incident": number}
    conn.execute(insert(incident_episodes).values(values))


def append(
    conn: Connection,
    number: int,
    *,
    at: datetime,
    kind: EntryKind,
    author: str,
    text: str,
    data: Mapping[str, Any] | None = None,
) -> int:
    """Write one entry into the timeline and return its id. Raises `NotFound` for an unknown incident."""
    get(conn, number)
    values = {
        "incident": number,
        "at": at,
        "kind": EntryKind(kind).value,
        "author": author,
        "text": text,
        "data": None if data is None else dict(data),
    }
    entry_id: int = conn.execute(insert(timeline).values(values).returning(timeline.c.entry_id)).scalar_one()
    return entry_id


def mitigate(conn: Connection, number: int, *, at: datetime, author: str, text: str) -> Incident:
    """A repair holds: no further tier is told. Raises `Conflict` unless it is open."""
    told = _Told(kind=EntryKind.MITIGATED, at=at, author=author, text=text)
    return _change(conn, number, Change.MITIGATE, told, mitigated_at=at)


def reopen(conn: Connection, number: int, *, at: datetime, author: str, text: str) -> Incident:
    """The repair did not last. Raises `Conflict` unless it is mitigated."""
    told = _Told(kind=EntryKind.REOPENED, at=at, author=author, text=text)
    return _change(conn, number, Change.REOPEN, told, mitigated_at=None)


def resolve(
    conn: Connection,
    number: int,
    *,
    at: datetime,
    author: str,
    text: str,
    root_cause: str | None = None,
    action_items: Sequence[ActionItem] = (),
    data: Mapping[str, Any] | None = None,
) -> Incident:
    """It is over; the review becomes due. `data` goes with its timeline entry.

    What people wrote stays: `root_cause` is taken only where none stands, `action_items` are added to theirs.
    Raises `Conflict` when it is already over.
    """
    found = get(conn, number)
    known = {item.text for item in found.action_items}
    items = [*found.action_items, *(item for item in action_items if item.text not in known)]
    return _change(
        conn,
        number,
        Change.RESOLVE,
        _Told(kind=EntryKind.RESOLVED, at=at, author=author, text=text, data=data),
        resolved_at=at,
        review_due_at=at + REVIEW_WITHIN[found.severity],
        root_cause=found.root_cause or root_cause,
        action_items=[item.to_document() for item in items],
    )


def review(conn: Connection, number: int, *, at: datetime, author: str, text: str) -> Incident:
    """It was looked back on. Raises `Conflict` unless it is resolved."""
    told = _Told(kind=EntryKind.REVIEWED, at=at, author=author, text=text)
    return _change(conn, number, Change.REVIEW, told, reviewed_at=at)


def note(conn: Connection, number: int, *, at: datetime, author: str, text: str) -> int:
    """A person's remark in the timeline; its entry's id."""
    return append(conn, number, at=at, kind=EntryKind.NOTE, author=author, text=text)


def state_root_cause(conn: Connection, number: int, *, at: datetime, author: str, text: str) -> None:
    """Say, or say anew, why it happened."""
    append(conn, number, at=at, kind=EntryKind.CAUSE, author=author, text=f"Root cause stated: {text}")
    _set(conn, number, root_cause=text)


def add_action_item(conn: Connection, number: int, *, at: datetime, author: str, text: str) -> None:
    """Note something to be done."""
    items = [*get(conn, number).action_items, ActionItem(text=text)]
    append(conn, number, at=at, kind=EntryKind.ACTION_ITEM, author=author, text=f"Action item added: {text}")
    _set(conn, number, action_items=[item.to_document() for item in items])


def finish_action_item(conn: Connection, number: int, *, index: int, at: datetime, author: str) -> None:
    """Tick off the action item at `index`, from 0. Raises `NotFound` where there is none."""
    items = list(get(conn, number).action_items)
    if not 0 <= index < len(items):
        raise NotFound(
            f"{incident_id(number)} has no action item {index}: it has {len(items)}, counted from 0"
        )
    items[index] = ActionItem(text=items[index].text, is_done=True)
    text = f"Action item done: {items[index].text}"
    append(conn, number, at=at, kind=EntryKind.ACTION_ITEM, author=author, text=text)
    _set(conn, number, action_items=[item.to_document() for item in items])


def documented(conn: Connection, number: int, *, up_to: int) -> None:
    """The file tells the story up to the entry `up_to`; never moves back."""
    ahead = incidents.c.documented_up_to < up_to
    conn.execute(update(incidents).where(incidents.c.number == number, ahead).values(documented_up_to=up_to))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """The timeline's entry for a change."""

    kind: EntryKind
    at: datetime
    author: str
    text: str
    data: Mapping[str, Any] | None = None


def _change(conn: Connection, number: int, change: Change, told: _Told, **values: Any) -> Incident:
    state = after(get(conn, number), change)
    append(conn, number, at=told.at, kind=told.kind, author=told.author, text=told.text, data=told.data)
    _set(conn, number, state=state.value, **values)
    return get(conn, number)


def _set(conn: Connection, number: int, **values: Any) -> None:
    conn.execute(update(incidents).where(incidents.c.number == number).values(**values))


def _free_name(conn: Connection, opened_at: datetime) -> str:
    stem = document_name(opened_at, 1).removesuffix(".md")
    taken = set(conn.scalars(select(incidents.c.document).where(incidents.c.document.startswith(stem))))
    copy = 1
    while document_name(opened_at, copy) in taken:
        copy += 1
    return document_name(opened_at, copy)


def _incidents(conn: Connection, query: Select[Any]) -> list[Incident]:
    return [_incident(row) for row in conn.execute(query)]


def _incident(row: Row[Any]) -> Incident:
    return Incident(
        number=row.number,
        rule_id=row.rule_id,
        labels=row.labels,
        title=row.title,
        severity=row.severity,
        owner=row.owner,
        state=IncidentState(row.state),
        opened_at=row.opened_at,
        mitigated_at=row.mitigated_at,
        resolved_at=row.resolved_at,
        reviewed_at=row.reviewed_at,
        review_due_at=row.review_due_at,
        root_cause=row.root_cause,
        action_items=tuple(ActionItem.from_document(item) for item in row.action_items),
        document=row.document,
        documented_up_to=row.documented_up_to,
    )


def _entry(row: Row[Any]) -> TimelineEntry:
    return TimelineEntry(
        entry_id=row.entry_id,
        incident=row.incident,
        at=row.at,
        kind=EntryKind(row.kind),
        author=row.author,
        text=row.text,
        data=row.data or {},
    )
