"""Reads the steps that ran for an incident."""

from __future__ import annotations

from sqlalchemy import Connection, select

from kokino.incidents.evidence import Evidence
from kokino.storage.schema import incident_episodes, playbook_runs, playbook_steps


def steps(conn: Connection, number: int) -> list[Evidence]:
    """Every step run for an episode of the incident, in the order in which they started."""
    episodes = select(incident_episodes.c.episode_id).where(incident_episodes.c.incident == number)
    query = (
        select(playbook_steps, playbook_runs.c.playbook_id)
        .join(playbook_runs)
        .where(playbook_runs.c.episode_id.in_(episodes))
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


def is_repairing(conn: Connection, number: int) -> bool:
    """True while a playbook run for the incident has yet to verify what it did."""
    episodes = select(incident_episodes.c.episode_id).where(incident_episodes.c.incident == number)
    query = select(playbook_runs.c.run_id).where(
        playbook_runs.c.episode_id.in_(episodes),
        playbook_runs.c.state.in_(["investigating", "mitigating", "verifying"]),
    )
    return conn.execute(query.limit(1)).one_or_none() is not None


def is_restoring(conn: Connection, number: int) -> bool:
    """True while a playbook run for the incident has yet to take back what it switched over."""
    episodes = select(incident_episodes.c.episode_id).where(incident_episodes.c.incident == number)
    query = select(playbook_runs.c.run_id).where(
        playbook_runs.c.episode_id.in_(episodes), playbook_runs.c.ended_at.is_(None)
    )
    return conn.execute(query.limit(1)).one_or_none() is not None
