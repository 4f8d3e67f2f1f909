"""Comparisons and the switch, in the database."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, or_, select, tuple_, update

from kokino.shadow.model import Changed, Comparison, Context, Layer, Run, Side, Verdict
from kokino.storage.schema import comparisons, shadow_switch

#: What an end state of a side is called that is no answer, and no end that somebody else brought about.
FAILED = ("failed", "timeout")
#: The one switch that there is.
_ALL = "all"
_OF_RUN = [field.name for field in fields(Run)]
#: Large columns, which only those read who ask for them.
_LARGE = {"changed", "difference"}
_SLIM = [column for column in comparisons.columns if column.name not in _LARGE]


@dataclass(frozen=True, slots=True, kw_only=True)
class Off:
    """Shadow mode is switched off for all agents."""

    reason: str
    since: datetime
    set_by: str


def add(conn: Connection, comparison: Comparison) -> None:
    """Write down that a prompt runs both ways, or why it does not."""
    conn.execute(insert(comparisons).values(**_values(comparison)))


def get(conn: Connection, execution_id: str) -> Comparison | None:
    """The comparison of a users' execution, or None."""
    query = select(comparisons).where(comparisons.c.execution_id == execution_id)
    row = conn.execute(query).one_or_none()
    return None if row is None else _comparison(row)


def pending(conn: Connection, agent_id: str | None = None) -> list[Comparison]:
    """Those that are not judged, of all agents or of one, the oldest first."""
    query = select(comparisons).where(comparisons.c.ended_at.is_(None)).order_by(comparisons.c.began_at)
    if agent_id is not None:
        query = query.where(comparisons.c.agent_id == agent_id)
    return [_comparison(row) for row in conn.execute(query)]


def note_changed(conn: Connection, execution_id: str, changed: Changed) -> None:
    """Remember what the tmux side changed."""
    _update(conn, execution_id, changed=dict(changed))


def note_cut_off(conn: Connection, execution_id: str, reason: str) -> None:
    """Remember that we end the shadow side, and why."""
    _update(conn, execution_id, cut_off=reason)


def judge(conn: Connection, judged: Comparison) -> bool:
    """Write a verdict down; False where somebody else has done so."""
    values = {name: value for name, value in _values(judged).items() if name != "execution_id"}
    changed = conn.execute(
        update(comparisons)
        .where(comparisons.c.execution_id == judged.execution_id, comparisons.c.ended_at.is_(None))
        .values(**values)
    )
    return changed.rowcount == 1


def heard(conn: Connection, conversation_id: str) -> int:
    """How many prompts of a conversation the shadow session has answered."""
    took_part = (
        comparisons.c.conversation_id == conversation_id,
        comparisons.c.headless_state == "completed",
    )
    return conn.execute(select(func.count()).select_from(comparisons).where(*took_part)).scalar_one()


def judged_since(conn: Connection, since: datetime, until: datetime) -> list[Comparison]:
    """Users' comparisons that were judged in [since, until), without what is large in them."""
    query = select(*_SLIM).where(_of_users(), comparisons.c.ended_at >= since, comparisons.c.ended_at < until)
    return [_comparison(row) for row in conn.execute(query.order_by(comparisons.c.ended_at))]


def first_at(conn: Connection) -> datetime | None:
    """When the first of the users' comparisons that are kept was judged; None without any."""
    compared = comparisons.c.verdict.in_([Verdict.MATCH.value, Verdict.MISMATCH.value])
    found: datetime | None = conn.scalar(
        select(func.min(comparisons.c.ended_at)).where(_of_users(), compared)
    )
    return found


def running(conn: Connection) -> int:
    """How many comparisons are not over."""
    query = select(func.count()).select_from(comparisons).where(comparisons.c.ended_at.is_(None))
    return conn.execute(query).scalar_one()


def mismatches(conn: Connection, *, before: str | None, limit: int) -> list[Comparison]:
    """The latest mismatches, newest first; `before` goes on after the last one of an earlier answer."""
    return _latest(conn, comparisons.c.verdict == Verdict.MISMATCH.value, before=before, limit=limit)


def failures(conn: Connection, side: Side | None, *, before: str | None, limit: int) -> list[Comparison]:
    """The latest comparisons of which one side, or either, came to no answer."""
    wanted = [side] if side is not None else list(Side)
    failed = or_(*(comparisons.c[f"{one.value}_state"].in_(FAILED) for one in wanted))
    return _latest(conn, failed, before=before, limit=limit)


def off(conn: Connection) -> Off | None:
    """Who switched shadow mode off, and why; None while it is on."""
    row = conn.execute(select(shadow_switch)).one_or_none()
    return None if row is None else Off(reason=row.reason, since=row.since, set_by=row.set_by)


def switch_off(conn: Connection, wanted: Off) -> None:
    """Switch it off, or change what was said of it."""
    switch_on(conn)
    conn.execute(
        insert(shadow_switch).values(
            switch=_ALL, reason=wanted.reason, since=wanted.since, set_by=wanted.set_by
        )
    )


def switch_on(conn: Connection) -> bool:
    """Switch it on; False when it was."""
    return conn.execute(delete(shadow_switch)).rowcount > 0


def _latest(
    conn: Connection, condition: ColumnElement[bool], *, before: str | None, limit: int
) -> list[Comparison]:
    query = select(comparisons).where(condition, _of_users(), comparisons.c.ended_at.is_not(None))
    place = (comparisons.c.ended_at, comparisons.c.execution_id)
    if before is not None:
        last = select(*place).where(comparisons.c.execution_id == before).scalar_subquery()
        query = query.where(tuple_(*place) < last)
    query = query.order_by(*(column.desc() for column in place)).limit(limit)
    return [_comparison(row) for row in conn.execute(query)]


def _of_users() -> ColumnElement[bool]:
    return comparisons.c.label.is_(None)


def _update(conn: Connection, execution_id: str, **values: Any) -> None:
    conn.execute(update(comparisons).where(comparisons.c.execution_id == execution_id).values(**values))


def _values(comparison: Comparison) -> dict[str, Any]:
    own = {field.name: getattr(comparison, field.name) for field in fields(comparison)}
    sides = {side: own.pop(side.value) for side in Side}
    changed: Changed | None = own["changed"]
    return {
        **own,
        "changed": None if changed is None else dict(changed),
        "context": comparison.context and comparison.context.value,
        "verdict": comparison.verdict and comparison.verdict.value,
        "layer": comparison.layer and comparison.layer.value,
        **{f"{side.value}_{name}": getattr(run, name) for side, run in sides.items() for name in _OF_RUN},
    }


def _comparison(row: Row[Any]) -> Comparison:
    held: dict[str, Any] = dict(zip(row._fields, row, strict=True))
    sides = {side: Run(**{name: held[f"{side.value}_{name}"] for name in _OF_RUN}) for side in Side}
    own: dict[str, Any] = {field.name: held.get(field.name) for field in fields(Comparison)}
    own["context"] = Context(row.context) if row.context else None
    own["verdict"] = Verdict(row.verdict) if row.verdict else None
    own["layer"] = Layer(row.layer) if row.layer else None
    own |= {side.value: run for side, run in sides.items()}
    return Comparison(**own)
