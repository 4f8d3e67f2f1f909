"""``/api/playbooks`` and ``/api/playbook-runs``: the documents, and what running them found and did."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response
from sqlalchemy import Connection

from kokino.api.routing import router_of
from kokino.api.services import Given
from kokino.api.shapes import Cursor, Page, Shape, Time
from kokino.errors import NotFound
from kokino.incidents.model import incident_id
from kokino.playbooks import store
from kokino.playbooks.model import Playbook
from kokino.playbooks.run import Run, StepRun

router = router_of("playbooks", prefix="/api")


class PatternShape(Shape):
    """One row of a playbook's Patterns table."""

    id: str
    probable_cause: str
    solution: str
    actions: list[str]


class StepShape(Shape):
    """One executable block of a playbook."""

    id: str
    section: str
    title: str
    effect: str
    run: str
    script: str


class PlaybookShape(Shape):
    """A playbook."""

    id: str
    title: str
    alert: str
    severity: str
    owner: str
    is_shipped: bool
    digest: str
    patterns: list[PatternShape]
    steps: list[StepShape]


class StepRunShape(Shape):
    """One time that a step was run."""

    step_id: str
    section: str
    effect: str
    block: str
    state: str
    exit_code: int | None
    output: str
    errors: str
    started_at: Time
    ended_at: Time | None


class RunShape(Shape):
    """One run of a playbook."""

    run_id: str
    playbook_id: str
    playbook_hash: str
    alert_id: str
    incident_id: str
    state: str
    pattern: str | None
    reason: str | None
    inputs: dict[str, str]
    started_at: Time
    ended_at: Time | None


class RunInFull(RunShape):
    """One run with its steps."""

    steps: list[StepRunShape]


@router.get("/playbooks")
async def everything(given: Given) -> list[PlaybookShape]:
    """All playbooks, by id."""
    return [_playbook(given.playbooks.playbooks[name]) for name in sorted(given.playbooks.playbooks)]


@router.get("/playbooks/{playbook_id}")
async def one(playbook_id: str, given: Given) -> PlaybookShape:
    """One playbook, as the broker reads it."""
    return _playbook(given.playbooks.get(playbook_id))


@router.get("/playbooks/{playbook_id}/document", response_class=Response)
async def document(playbook_id: str, given: Given) -> Response:
    """One playbook, as a person reads it."""
    return Response(given.playbooks.get(playbook_id).text, media_type="text/markdown; charset=utf-8")


@router.get("/playbook-runs")
async def runs(
    given: Given, limit: Annotated[int, Query(ge=1, le=1000)] = 50, cursor: Cursor = 0
) -> Page[RunShape]:
    """Runs, the newest first."""
    found = await given.storage.read(lambda conn: store.page(conn, skip=cursor, limit=limit + 1))
    more = str(cursor + limit) if len(found) > limit else None
    return Page(items=[_run(run) for run in found[:limit]], next_cursor=more)


@router.get("/playbook-runs/{run_id}")
async def run(run_id: str, given: Given) -> RunInFull:
    """One run with every step's command, output and exit code."""

    def read(conn: Connection) -> RunInFull:
        found = store.get(conn, run_id)
        if found is None:
            raise NotFound(f"there is no playbook run {run_id!r}; GET /api/playbook-runs lists them")
        return RunInFull(
            **_run(found).model_dump(), steps=[_step_run(step) for step in store.steps_of(conn, run_id)]
        )

    return await given.storage.read(read)


def _playbook(playbook: Playbook) -> PlaybookShape:
    return PlaybookShape(
        id=playbook.id,
        title=playbook.title,
        alert=playbook.alert,
        severity=playbook.severity,
        owner=playbook.owner,
        is_shipped=playbook.is_shipped,
        digest=playbook.digest,
        patterns=[
            PatternShape(
                id=pattern.id,
                probable_cause=pattern.probable_cause,
                solution=pattern.solution,
                actions=list(pattern.actions),
            )
            for pattern in playbook.patterns
        ],
        steps=[StepShape.model_validate(step) for step in playbook.steps],
    )


def _run(run: Run) -> RunShape:
    return RunShape(
        run_id=run.run_id,
        playbook_id=run.playbook_id,
        playbook_hash=run.playbook_hash,
        alert_id=run.alert_id,
        incident_id=incident_id(run.incident),
        state=run.state.value,
        pattern=run.pattern,
        reason=run.reason,
        inputs=dict(run.inputs),
        started_at=run.started_at,
        ended_at=run.ended_at,
    )


def _step_run(step: StepRun) -> StepRunShape:
    return StepRunShape.model_validate(step)
