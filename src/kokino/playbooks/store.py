"""Playbook runs and their steps in the database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from kokino.incidents.store import OpenEpisode, open_episodes
from kokino.playbooks.model import Playbook, Step
from kokino.playbooks.run import TRANSITIONS, Outcome, Run, RunState, StepRun, StepState
from kokino.storage.schema import playbook_runs, playbook_steps


def begin(
    conn: Connection,
    run_id: str,
    playbook: Playbook,
    *,
    alert_id: str,
    episode_id: str,
    incident: int,
    inputs: Mapping[str, str],
    now: datetime,
) -> Run:
    """Start a run with the inputs that the alert gives; there is one for each playbook and episode."""
    conn.execute(
        insert(playbook_runs).values(
            run_id=run_id,
            playbook_id=playbook.id,
            playbook_hash=playbook.digest,
            alert_id=alert_id,
            episode_id=episode_id,
            incident=incident,
            state=RunState.INVESTIGATING.value,
            inputs=dict(inputs),
            started_at=now,
        )
    )
    return required(conn, run_id)


def uncovered(conn: Connection) -> list[OpenEpisode]:
    """Episodes of open incidents for which no playbook has run."""
    return [episode for episode in open_episodes(conn) if not _has_run(conn, episode.episode_id)]


def _has_run(conn: Connection, episode_id: str) -> bool:
    query = select(playbook_runs.c.run_id).where(playbook_runs.c.episode_id == episode_id)
    return conn.execute(query.limit(1)).one_or_none() is not None


def get(conn: Connection, run_id: str) -> Run | None:
    """The run, or None."""
    row = conn.execute(select(playbook_runs).where(playbook_runs.c.run_id == run_id)).one_or_none()
    return None if row is None else _run(row)


def required(conn: Connection, run_id: str) -> Run:
    """The run, which is there."""
    return _run(conn.execute(select(playbook_runs).where(playbook_runs.c.run_id == run_id)).one())


def unfinished(conn: Connection) -> list[Run]:
    """Every run that goes on, the oldest first."""
    ends = [state.value for state in RunState if state.is_end]
    query = (
        select(playbook_runs).where(playbook_runs.c.state.not_in(ends)).order_by(playbook_runs.c.started_at)
    )
    return [_run(row) for row in conn.execute(query)]


def page(conn: Connection, *, skip: int, limit: int) -> list[Run]:
    """At most `limit` runs after the `skip` newest ones."""
    newest = (playbook_runs.c.started_at.desc(), playbook_runs.c.run_id.desc())
    return [
        _run(row) for row in conn.execute(select(playbook_runs).order_by(*newest).offset(skip).limit(limit))
    ]


def of_incident(conn: Connection, number: int) -> list[Run]:
    """The runs for an incident, the oldest first."""
    query = (
        select(playbook_runs).where(playbook_runs.c.incident == number).order_by(playbook_runs.c.started_at)
    )
    return [_run(row) for row in conn.execute(query)]


def move(conn: Connection, run_id: str, to: RunState, *, reason: str, now: datetime, **values: Any) -> None:
    """Change a run's state where `TRANSITIONS` allows it; any other change is a bug."""
    allowed = [state.value for state, following in TRANSITIONS.items() if to in following]
    changed = conn.execute(
        update(playbook_runs)
        .where(playbook_runs.c.run_id == run_id, playbook_runs.c.state.in_(allowed))
        .values(state=to.value, reason=reason, due_at=None, ended_at=now if to.is_end else None, **values)
    )
    if changed.rowcount != 1:
        raise ValueError(
            f"playbook run {run_id!r} cannot become {to.value}: it is not {' or '.join(allowed)}"
        )


def postpone(conn: Connection, run_id: str, *, due_at: datetime, reason: str) -> None:
    """Look at it again at `due_at`."""
    conn.execute(
        update(playbook_runs).where(playbook_runs.c.run_id == run_id).values(due_at=due_at, reason=reason)
    )


def begin_step(conn: Connection, run_id: str, step: Step, *, now: datetime) -> int:
    """Note that a step is about to run; returns its entry."""
    values = {
        "run_id": run_id,
        "step_id": step.id,
        "section": step.section.value,
        "effect": step.effect.value,
        "block": step.script,
        "state": StepState.RUNNING.value,
        "output": "",
        "errors": "",
        "started_at": now,
    }
    entry: int = conn.execute(
        insert(playbook_steps).values(values).returning(playbook_steps.c.entry_id)
    ).scalar_one()
    return entry


def end_step(conn: Connection, entry_id: int, outcome: Outcome, *, now: datetime) -> StepRun:
    """Note what came of it."""
    conn.execute(
        update(playbook_steps)
        .where(playbook_steps.c.entry_id == entry_id)
        .values(
            state=outcome.state.value,
            exit_code=outcome.exit_code,
            output=outcome.output,
            errors=outcome.errors,
            ended_at=now,
        )
    )
    return _step(conn.execute(select(playbook_steps).where(playbook_steps.c.entry_id == entry_id)).one())


def close_uncertain(conn: Connection, *, now: datetime) -> None:
    """Steps that were running when the last broker went away: nobody knows how they ended."""
    conn.execute(
        update(playbook_steps)
        .where(playbook_steps.c.state == StepState.RUNNING.value)
        .values(state=StepState.UNCERTAIN.value, ended_at=now)
    )


def steps_of(conn: Connection, run_id: str) -> list[StepRun]:
    """All that a run has run, in order."""
    query = (
        select(playbook_steps).where(playbook_steps.c.run_id == run_id).order_by(playbook_steps.c.entry_id)
    )
    return [_step(row) for row in conn.execute(query)]


def past_runs(conn: Connection, playbook_id: str, step_id: str, *, since: datetime) -> list[datetime]:
    """When a step was really run, by any run of its playbook, for its limit."""
    query = (
        select(playbook_steps.c.started_at)
        .join(playbook_runs, playbook_runs.c.run_id == playbook_steps.c.run_id)
        .where(playbook_runs.c.playbook_id == playbook_id, playbook_steps.c.step_id == step_id)
        .where(playbook_steps.c.started_at >= since, playbook_steps.c.state != StepState.SKIPPED.value)
    )
    return list(conn.scalars(query))


def _run(row: Row[Any]) -> Run:
    return Run(
        run_id=row.run_id,
        playbook_id=row.playbook_id,
        playbook_hash=row.playbook_hash,
        alert_id=row.alert_id,
        episode_id=row.episode_id,
        incident=row.incident,
        state=RunState(row.state),
        inputs=row.inputs,
        pattern=row.pattern,
        reason=row.reason,
        started_at=row.started_at,
        verifying_at=row.verifying_at,
        due_at=row.due_at,
        ended_at=row.ended_at,
    )


def _step(row: Row[Any]) -> StepRun:
    return StepRun(
        entry_id=row.entry_id,
        run_id=row.run_id,
        step_id=row.step_id,
        section=row.section,
        effect=row.effect,
        block=row.block,
        state=StepState(row.state),
        exit_code=row.exit_code,
        output=row.output,
        errors=row.errors,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )
