"""What incidents and pages are told of playbook runs: each step as evidence, and how far a repair is."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from kokino.incidents.evidence import Evidence, Repair
from kokino.playbooks.run import RunState
from kokino.storage.schema import playbook_runs, playbook_steps


def evidence(conn: Connection, number: int) -> list[Evidence]:
    """Every step that ran for an incident, in the order in which they started."""
    query = (
        select(playbook_steps, playbook_runs.c.playbook_id)
        .join(playbook_runs)
        .where(playbook_runs.c.incident == number)
        .order_by(playbook_steps.c.entry_id)
    )
    return [_evidence(row) for row in conn.execute(query)]


def last_runs(
    conn: Connection,
    number: int,
    *,
    until: datetime,
    step_ids: Collection[str] = (),
    section: str | None = None,
) -> list[Evidence]:
    """The last run by `until` of each of `step_ids`, or of each step of `section`, for an incident.

    In the order in which they ran. A step that waits for something runs again and again; only its last run
    before a timeline's entry is what that entry speaks of.
    """
    wanted = playbook_steps.c.section == section if section else playbook_steps.c.step_id.in_(list(step_ids))
    place = func.row_number().over(
        partition_by=playbook_steps.c.step_id, order_by=playbook_steps.c.entry_id.desc()
    )
    ranked = (
        select(playbook_steps.c.entry_id, place.label("place"))
        .join(playbook_runs)
        .where(playbook_runs.c.incident == number, playbook_steps.c.ended_at <= until, wanted)
        .subquery()
    )
    query = (
        select(playbook_steps, playbook_runs.c.playbook_id)
        .join(playbook_runs)
        .join(ranked, ranked.c.entry_id == playbook_steps.c.entry_id)
        .where(ranked.c.place == 1)
        .order_by(playbook_steps.c.entry_id)
    )
    return [_evidence(row) for row in conn.execute(query)]


def repair(conn: Connection, number: int) -> Repair:
    """How far the runs for an incident are, all of them together."""
    ends = [state.value for state in RunState if state.is_end]
    query = select(playbook_runs.c.state).where(
        playbook_runs.c.incident == number, playbook_runs.c.state.not_in(ends)
    )
    states = {RunState(state) for state in conn.scalars(query)}
    if not states:
        return Repair.NONE
    return Repair.RESTORING if states == {RunState.RESTORING} else Repair.REPAIRING


def _evidence(row: Row[Any]) -> Evidence:
    return Evidence(**{name: getattr(row, name) for name in Evidence.__slots__})
