"""A few numbers over any window, each by one statement that is built once.

A look at an alert rule asks for many windows, at every execution's end. What it costs must not grow with what
happened: whole buckets come from the rollups (`windows`), and of the two parts of a minute at the edges the
database reads the few rows by their time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Select, bindparam, case, func, select, union_all

from kokino.clock import EPOCH
from kokino.storage.schema import events, rollups
from kokino.telemetry.histogram import Histogram
from kokino.telemetry.model import (
    BAD_ENDS,
    END_STATES,
    EVERYBODY,
    GOOD_ENDS,
    JUDGED,
    Counts,
    EventType,
    Memory,
    Owner,
    Scope,
)
from kokino.telemetry.windows import Grain, Span, cut

#: A window has at most one stretch of whole days, two of hours, two of minutes, and two edges.
_SLOTS = (Grain.DAY, Grain.HOUR, Grain.HOUR, Grain.MINUTE, Grain.MINUTE)
_EDGES = 2
_NOTHING = Span(EPOCH, EPOCH)
#: No condition asks for more events than this; counting on would cost and tell nothing.
MOST = 10_000


@dataclass(frozen=True, slots=True)
class _Sums:
    """Numbers that are summed: each a column of the rollups, and what one event adds to it."""

    columns: tuple[Column[int], ...]
    #: In the order of `columns`.
    of_event: tuple[ColumnElement[int], ...]


def _is(types: Collection[str]) -> ColumnElement[int]:
    return case((events.c.type.in_(sorted(types)), 1), else_=0)


_ENDS = _Sums(
    columns=(rollups.c.good, rollups.c.bad),
    of_event=(_is(GOOD_ENDS), _is(BAD_ENDS)),
)
_COMPARISONS = _Sums(
    columns=_ENDS.columns,
    of_event=(_is({EventType.SHADOW_SUCCESS}), _is({EventType.SHADOW_MISMATCH})),
)
_IS_MEASURED = events.c.memory_mb.is_not(None) & events.c.memory_slo_mb.is_not(None)
_PEAKS = _Sums(
    columns=(rollups.c.memory_within, rollups.c.memory_over, rollups.c.memory_sum_mb),
    of_event=(
        case((_IS_MEASURED & (events.c.memory_mb <= events.c.memory_slo_mb), 1), else_=0),
        case((_IS_MEASURED & (events.c.memory_mb > events.c.memory_slo_mb), 1), else_=0),
        case((_IS_MEASURED, events.c.memory_mb), else_=0),
    ),
)
_OWNERS: Mapping[Scope, Column[Any]] = {Scope.CLI: events.c.cli_type, Scope.AGENT: events.c.agent_id}


def counts(conn: Connection, since: datetime, until: datetime, owner: Owner = EVERYBODY) -> Counts:
    """Good and bad in [since, until), exact to the millisecond. Of `Scope.CHECKS` ask `rollup_store`."""
    sums = _COMPARISONS if owner.scope is Scope.SHADOW else _ENDS
    good, bad = _summed(conn, Span(since, until), sums, owner)
    return Counts(good=good, bad=bad)


def memory(conn: Connection, since: datetime, until: datetime, owner: Owner = EVERYBODY) -> Memory:
    """What process trees of the executions that ended in [since, until) took at most."""
    within, over, sum_mb = _summed(conn, Span(since, until), _PEAKS, owner)
    return Memory(within=within, over=over, sum_mb=sum_mb)


def within(
    conn: Connection,
    since: datetime,
    until: datetime,
    limit_ms: int,
    owner: Owner = EVERYBODY,
) -> Counts:
    """Executions of [since, until) that took at most `limit_ms`, and those that took longer.

    `limit_ms` is one of `histogram.EXACT_EDGES`; another one finds too few within it.
    """
    binds = _binds(Span(since, until), owner)
    found = Histogram()
    for (durations,) in conn.execute(_durations(), binds):
        found += Histogram.from_document(durations, 0)
    quick, slow = conn.execute(_edges_within(owner.scope), {**binds, "limit_ms": limit_ms}).one()
    return Counts(good=found.within(limit_ms) + int(quick), bad=found.above(limit_ms) + int(slow))


def first_at(
    conn: Connection,
    since: datetime,
    until: datetime,
    types: Collection[str],
    *,
    label: str | None = None,
    agent_id: str | None = None,
    cli_type: str | None = None,
) -> datetime | None:
    """When the first event of [since, until) of one of these types happened; users', or so labelled.

    One search by type and time for each of them, in one statement: asked for any of them, SQLite reads the
    whole window.
    """
    names = {"label": label, "agent_id": agent_id, "cli_type": cli_type}
    statement = _first(frozenset(name for name, value in names.items() if value is not None), len(types))
    asked = {_type(number): str(type) for number, type in enumerate(sorted(types))}
    found: datetime | None = conn.execute(
        statement, {"since": since, "until": until, **names, **asked}
    ).scalar()
    return found


def how_many(
    conn: Connection,
    since: datetime,
    until: datetime,
    types: Collection[str],
    *,
    agent_id: str | None = None,
    cli_type: str | None = None,
) -> int:
    """How many events of these types happened in [since, until); `MOST` of each are counted, not more."""
    names = {"agent_id": agent_id, "cli_type": cli_type}
    return _count(conn, since, until, types, names)


def labelled(
    conn: Connection,
    since: datetime,
    until: datetime,
    label: str,
    *,
    agent_id: str | None = None,
    cli_type: str | None = None,
) -> Counts:
    """Good and bad executions of [since, until) that bear a label; they are in no rollup."""
    names = {"label": label, "agent_id": agent_id, "cli_type": cli_type}
    return Counts(
        good=_count(conn, since, until, GOOD_ENDS, names), bad=_count(conn, since, until, BAD_ENDS, names)
    )


def ids(conn: Connection, scope: Scope) -> list[str]:
    """Every CLI type or agent whose executions have been summed in the last days that are kept."""
    query = select(rollups.c.scope_id).where(rollups.c.scope == scope, rollups.c.grain == Grain.DAY)
    return list(conn.scalars(query.distinct().order_by(rollups.c.scope_id)))


def _count(
    conn: Connection,
    since: datetime,
    until: datetime,
    types: Collection[str],
    names: Mapping[str, str | None],
) -> int:
    statement = _counted(frozenset(name for name, value in names.items() if value is not None))
    binds = {"since": since, "until": until, **names}
    return sum(int(conn.execute(statement, {**binds, "type": str(type)}).scalar_one()) for type in types)


def _summed(conn: Connection, window: Span, sums: _Sums, owner: Owner) -> Sequence[int]:
    row = conn.execute(_statement(sums, owner.scope), _binds(window, owner)).one()
    return [int(number) for number in row]


@cache
def _statement(sums: _Sums, scope: Scope) -> Select[Any]:
    parts = [
        *(select(*sums.columns).where(condition) for condition in _in_buckets()),
        *(select(*sums.of_event).where(*_in_edge(number, scope)) for number in range(_EDGES)),
    ]
    together = union_all(*parts).subquery()
    return select(*(func.coalesce(func.sum(column), 0) for column in together.columns))


@cache
def _durations() -> Select[Any]:
    """The durations of every whole bucket of the window."""
    together = union_all(*(select(rollups.c.durations).where(condition) for condition in _in_buckets()))
    return select(together.subquery())


@cache
def _edges_within(scope: Scope) -> Select[Any]:
    counted = events.c.duration_ms.is_not(None) & (_ENDS.of_event[0] + _ENDS.of_event[1] > 0)
    columns = (
        case((counted & (events.c.duration_ms <= bindparam("limit_ms")), 1), else_=0).label("quick"),
        case((counted & (events.c.duration_ms > bindparam("limit_ms")), 1), else_=0).label("slow"),
    )
    together = union_all(
        *(select(*columns).where(*_in_edge(number, scope)) for number in range(_EDGES))
    ).subquery()
    return select(*(func.coalesce(func.sum(column), 0) for column in together.columns))


@cache
def _first(names: frozenset[str], types: int) -> Select[Any]:
    """The first of each of so many types, and of these the first."""
    each = [
        select(events.c.at).where(*_of_type(names, _type(number))).order_by(events.c.at).limit(1).subquery()
        for number in range(types)
    ]
    together = union_all(*(select(one.c.at) for one in each)).subquery()
    return select(func.min(together.c.at))


@cache
def _counted(names: frozenset[str]) -> Select[Any]:
    some = select(events.c.at).where(*_of_type(names)).limit(MOST).subquery()
    return select(func.count()).select_from(some)


def _type(number: int) -> str:
    return f"type_{number}"


def _of_type(names: frozenset[str], type: str = "type") -> Iterator[ColumnElement[bool]]:
    """Events of one type in a span; users', unless a label is asked for. `type` names its parameter."""
    yield events.c.type == bindparam(type)
    yield events.c.at >= bindparam("since")
    yield events.c.at < bindparam("until")
    if "label" not in names:
        yield events.c.label.is_(None)
    for name in sorted(names):
        yield events.c[name] == bindparam(name)


def _in_buckets() -> Iterator[ColumnElement[bool]]:
    for number, grain in enumerate(_SLOTS):
        yield (
            (rollups.c.scope == bindparam("scope"))
            & (rollups.c.scope_id == bindparam("scope_id"))
            & (rollups.c.grain == grain.value)
            & (rollups.c.bucket_at >= bindparam(f"bucket_since_{number}"))
            & (rollups.c.bucket_at < bindparam(f"bucket_until_{number}"))
        )


def _in_edge(number: int, scope: Scope) -> tuple[ColumnElement[bool], ...]:
    return (
        events.c.at >= bindparam(f"edge_since_{number}"),
        events.c.at < bindparam(f"edge_until_{number}"),
        events.c.label.is_(None),
        events.c.type.in_(sorted(JUDGED.get(scope, END_STATES))),
        *_of_owner(scope),
    )


def _of_owner(scope: Scope) -> tuple[ColumnElement[bool], ...]:
    owner = _OWNERS.get(scope)
    return () if owner is None else (owner == bindparam("scope_id"),)


def _binds(window: Span, owner: Owner) -> dict[str, Any]:
    """The window's pieces, each in a slot of its grain; slots that are left hold nothing."""
    pieces = cut(window.since, window.until)
    by_grain: dict[Grain, list[Span]] = {grain: [] for grain in _SLOTS}
    for grain, span in pieces.buckets:
        by_grain[grain].append(span)
    binds: dict[str, Any] = {"scope": owner.scope.value, "scope_id": owner.id}
    for number, grain in enumerate(_SLOTS):
        span = by_grain[grain].pop() if by_grain[grain] else _NOTHING
        binds[f"bucket_since_{number}"], binds[f"bucket_until_{number}"] = span.since, span.until
    for number in range(_EDGES):
        span = pieces.edges[number] if number < len(pieces.edges) else _NOTHING
        binds[f"edge_since_{number}"], binds[f"edge_until_{number}"] = span.since, span.until
    return binds
