"""The sums over events: kept in the transaction of each event, read by window.

Minutes, hours and days are all written at once, so an event that comes late is in all of them from the start
and no watermark has to be trusted (docs/decisions/0002-rollups-at-write.md).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from kokino.clock import MILLISECOND
from kokino.storage.schema import events, rollups
from kokino.telemetry.histogram import Histogram
from kokino.telemetry.model import BAD, END_STATES, END_TYPES, GOOD, Counts, Event, Scope, Totals, totals_of
from kokino.telemetry.windows import Cut, Grain, Span, cut, floor

#: The order in which an event's rows are written, the same for all writers: none waits for another in a ring.
#: What was ever counted is only read per CLI type.
WRITTEN = tuple(
    (scope, grain)
    for scope in Scope
    for grain in (Grain.DAY, Grain.HOUR, Grain.MINUTE, Grain.EVER)
    if grain is not Grain.EVER or scope is Scope.CLI
)

KEY = (rollups.c.scope, rollups.c.scope_id, rollups.c.grain, rollups.c.bucket_at)
_Key = tuple[str, str, str, datetime]


def _name(column: ColumnElement[Any], number: int) -> str:
    return f"{column.key}_{number}"


#: The rows of one event. Built once, as building it costs as much as running it; and not a tuple IN, for
#: which SQLite would read the whole table.
_PRESENT = select(rollups).where(
    or_(
        *(
            and_(*(column == bindparam(_name(column, number)) for column in KEY))
            for number in range(len(WRITTEN))
        )
    )
)

#: The end of a user's execution that counted.
COUNTED = and_(events.c.label.is_(None), events.c.type.in_(list(END_STATES)))


def add(conn: Connection, event: Event) -> None:
    """Add one counted event to every bucket that it falls in."""
    keys = list(_keys(event))
    present = {_key(row): _totals(row) for row in conn.execute(_PRESENT, _named(keys))}
    more = totals_of(event)
    conn.execute(
        _upsert(conn.dialect.name), [_values(key, present.get(key, Totals()) + more) for key in keys]
    )


def totals(conn: Connection, since: datetime, until: datetime, scope: Scope, scope_id: str = "") -> Totals:
    """Everything summed over [since, until), exact to the millisecond."""
    return totals_by(conn, since, until, scope, scope_id=scope_id).get(scope_id, Totals())


def totals_by(
    conn: Connection, since: datetime, until: datetime, scope: Scope, *, scope_id: str | None = None
) -> dict[str, Totals]:
    """The same for each id of a scope that has an execution in the window, or for `scope_id` alone."""
    pieces = cut(since, until)
    found: dict[str, Totals] = {}
    for row in _bucket_rows(conn, pieces, scope, scope_id):
        found[row.scope_id] = found.get(row.scope_id, Totals()) + _totals(row)
    for owner, more in _edge_totals(conn, pieces.edges, scope, scope_id):
        found[owner] = found.get(owner, Totals()) + more
    return found


def counts(conn: Connection, since: datetime, until: datetime) -> Counts:
    """Good and bad of all users' executions in [since, until), summed by the database."""
    pieces = cut(since, until)
    summed = Counts()
    if pieces.buckets:
        columns = (func.coalesce(func.sum(rollups.c.good), 0), func.coalesce(func.sum(rollups.c.bad), 0))
        good, bad = conn.execute(select(*columns).where(_in_buckets(pieces, Scope.ALL, ""))).one()
        summed += Counts(good=int(good), bad=int(bad))
    for span in pieces.edges:
        summed += count_events(conn, span.since, span.until, label=None)
    return summed


def count_events(conn: Connection, since: datetime, until: datetime, *, label: str | None) -> Counts:
    """Good and bad executions with a label in [since, until), counted event by event."""
    rows = conn.execute(
        select(events.c.state, func.count())
        .where(_within(Span(since, until)), events.c.label.is_not_distinct_from(label))
        .where(events.c.type.in_(list(END_STATES)))
        .group_by(events.c.state)
    )
    by_state = {str(state): int(number) for state, number in rows}
    return Counts(
        good=sum(by_state.get(state, 0) for state in GOOD), bad=sum(by_state.get(state, 0) for state in BAD)
    )


def oldest_at(
    conn: Connection,
    since: datetime,
    until: datetime,
    *,
    states: Collection[str],
    labels: Collection[str] = (),
) -> datetime | None:
    """When the first execution of [since, until) ended in one of `states`; a user's, or one so labelled."""
    types = [END_TYPES[state].value for state in states]
    found: datetime | None = conn.execute(
        select(func.min(events.c.at))
        .where(events.c.type.in_(types), _within(Span(since, until)))
        .where(or_(events.c.label.is_(None), events.c.label.in_(list(labels))))
    ).scalar_one()
    return found


def ever(conn: Connection) -> dict[str, Totals]:
    """Everything since the first event by CLI type; survives retention and restarts."""
    rows = conn.execute(select(rollups).where(rollups.c.scope == Scope.CLI, rollups.c.grain == Grain.EVER))
    return {row.scope_id: _totals(row) for row in rows}


def _keys(event: Event) -> Iterator[_Key]:
    ids = {Scope.ALL: "", Scope.CLI: event.cli_type or "", Scope.AGENT: event.agent_id or ""}
    for scope, grain in WRITTEN:
        yield scope.value, ids[scope], grain.value, floor(event.at, grain)


def _named(keys: Sequence[_Key]) -> dict[str, Any]:
    return {
        _name(column, number): value
        for number, key in enumerate(keys)
        for column, value in zip(KEY, key, strict=True)
    }


def _key(row: Row[Any]) -> _Key:
    return row.scope, row.scope_id, row.grain, row.bucket_at


def _values(key: _Key, sums: Totals) -> dict[str, Any]:
    scope, scope_id, grain, bucket_at = key
    return {
        "scope": scope,
        "scope_id": scope_id,
        "grain": grain,
        "bucket_at": bucket_at,
        "good": sums.good,
        "bad": sums.bad,
        "states": dict(sums.states),
        "kinds": dict(sums.kinds),
        "durations": sums.durations.to_document(),
        "duration_sum_ms": sums.duration_sum // MILLISECOND,
        "duration_max_ms": sums.durations.max_ms,
    }


@cache
def _upsert(dialect: str) -> Any:
    """Insert, or replace what stands there: nobody else can have changed it since it was read.

    SQLite has one writer; on PostgreSQL, serializable, the later of two such transactions is run again.
    """
    statement: Any = postgresql.insert(rollups) if dialect == "postgresql" else sqlite.insert(rollups)
    sums = [column for column in rollups.columns if not column.primary_key]
    return statement.on_conflict_do_update(
        index_elements=list(KEY), set_={column.name: statement.excluded[column.name] for column in sums}
    )


def _bucket_rows(conn: Connection, pieces: Cut, scope: Scope, scope_id: str | None) -> Sequence[Row[Any]]:
    if not pieces.buckets:
        return []
    return conn.execute(select(rollups).where(_in_buckets(pieces, scope, scope_id))).all()


def _in_buckets(pieces: Cut, scope: Scope, scope_id: str | None) -> ColumnElement[bool]:
    """The scope is said again with each stretch: only so SQLite looks each of them up in the index."""
    of_scope = [rollups.c.scope == scope]
    if scope_id is not None:
        of_scope.append(rollups.c.scope_id == scope_id)
    return or_(
        *(
            and_(
                *of_scope,
                rollups.c.grain == grain,
                rollups.c.bucket_at >= span.since,
                rollups.c.bucket_at < span.until,
            )
            for grain, span in pieces.buckets
        )
    )


def _edge_totals(
    conn: Connection, edges: Sequence[Span], scope: Scope, scope_id: str | None
) -> Iterator[tuple[str, Totals]]:
    if not edges:
        return
    query = select(events).where(COUNTED, or_(*(_within(span) for span in edges)))
    for row in conn.execute(query):
        owner = {Scope.ALL: "", Scope.CLI: row.cli_type, Scope.AGENT: row.agent_id}[scope]
        if scope_id in {None, owner}:
            yield owner, totals_of(Event.from_row(row))


def _within(span: Span) -> ColumnElement[bool]:
    return and_(events.c.at >= span.since, events.c.at < span.until)


def _totals(row: Row[Any]) -> Totals:
    return Totals(
        good=row.good,
        bad=row.bad,
        states=row.states,
        kinds=row.kinds,
        durations=Histogram.from_document(row.durations, row.duration_max_ms),
        duration_sum=timedelta(milliseconds=row.duration_sum_ms),
    )
