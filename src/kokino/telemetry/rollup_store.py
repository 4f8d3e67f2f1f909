"""The sums over events: kept in the transaction of each event, read by window.

Minutes, hours and days are all written at once, so an event that comes late is in all of them from the start
and no watermark has to be trusted (docs/decisions/0002-rollups-at-write.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, bindparam, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from kokino.clock import MILLISECOND
from kokino.storage.schema import events, rollups
from kokino.telemetry.histogram import Histogram
from kokino.telemetry.model import (
    END_STATES,
    JUDGED,
    Event,
    Memory,
    Scope,
    Totals,
    totals_of,
)
from kokino.telemetry.windows import Cut, Grain, Span, cut, floor

#: The order in which an event's rows are written, the same for all writers: none waits for another in a ring.
GRAINS = (Grain.DAY, Grain.HOUR, Grain.MINUTE, Grain.EVER)
#: What was ever counted is only read of these.
EVER = frozenset({Scope.CLI, Scope.SHADOW, Scope.CHECKS})

KEY = (rollups.c.scope, rollups.c.scope_id, rollups.c.grain, rollups.c.bucket_at)
_Key = tuple[str, str, str, datetime]


def _name(column: ColumnElement[Any], number: int) -> str:
    return f"{column.key}_{number}"


@cache
def _present(count: int) -> Select[Any]:
    """The rows of one event: so many.

    Built once, as building it costs as much as running it; and not a tuple IN, for which SQLite would read
    the whole table.
    """
    rows = ([column == bindparam(_name(column, number)) for column in KEY] for number in range(count))
    return select(rollups).where(or_(*(and_(*row) for row in rows)))


def add(conn: Connection, event: Event) -> None:
    """Add one event to every bucket that it falls in; none, for one that is summed nowhere."""
    keys = list(_keys(event))
    if not keys:
        return
    present = {_key(row): _totals(row) for row in conn.execute(_present(len(keys)), _named(keys))}
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


def ever(conn: Connection, scope: Scope = Scope.CLI) -> dict[str, Totals]:
    """Everything since the first event by id of a scope; survives retention and restarts."""
    rows = conn.execute(select(rollups).where(rollups.c.scope == scope, rollups.c.grain == Grain.EVER))
    return {row.scope_id: _totals(row) for row in rows}


def _keys(event: Event) -> Iterator[_Key]:
    for scope, scope_id in event.scopes.items():
        for grain in GRAINS:
            if grain is not Grain.EVER or scope in EVER:
                yield scope.value, scope_id, grain.value, floor(event.at, grain)


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
        "memory_within": sums.memory.within,
        "memory_over": sums.memory.over,
        "memory_sum_mb": sums.memory.sum_mb,
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
    types = JUDGED.get(scope, END_STATES)
    query = select(events).where(
        events.c.label.is_(None), events.c.type.in_(list(types)), or_(*(_within(span) for span in edges))
    )
    for row in conn.execute(query):
        event = Event.from_row(row)
        owner = event.scopes[scope]
        if scope_id in {None, owner}:
            yield owner, totals_of(event)


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
        memory=Memory(within=row.memory_within, over=row.memory_over, sum_mb=row.memory_sum_mb),
    )
