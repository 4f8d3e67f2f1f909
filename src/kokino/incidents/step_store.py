"""The playbook steps that a timeline entry tells of: of each, its last run before the entry was written."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, func, select

from kokino.incidents.evidence import Evidence
from kokino.storage.schema import playbook_runs, playbook_steps


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
    before an entry is what that entry speaks of.
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
    return [
        Evidence(
            run_id=row.run_id,
            playbook_id=row.playbook_id,
            step_id=row.step_id,
            section=row.section,
            block=row.block,
            state=row.state,
            exit_code=row.exit_code,
            output=row.output,
            errors=row.errors,
            started_at=row.started_at,
            ended_at=row.ended_at,
        )
        for row in conn.execute(query)
    ]
