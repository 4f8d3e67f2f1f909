"""``/api/health/environment``: what the doctor finds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from kokino.agents.names import CliTypeName
from kokino.api.routing import router_of
from kokino.api.services import Given, Services
from kokino.api.shapes import Body, Shape, Time
from kokino.clock import MILLISECOND
from kokino.doctor.machine import look_at_machine
from kokino.doctor.model import Check, Diagnosis

router = router_of("health")


class CheckShape(Shape):
    """One thing the doctor looked at."""

    name: str
    passed: bool
    #: False where all works without it, only dearer or later.
    is_required: bool
    message: str
    #: The command that mends it, on one line; null where it passed, or where none is known: see the message.
    mend: str | None
    #: False where nothing was looked at, and so nothing found.
    is_tried: bool


class DiagnosisShape(Shape):
    """One CLI type's environment."""

    cli_type: str
    passed: bool
    checks: list[CheckShape]
    warnings: list[str]
    #: When it was looked at, and how long ago that is.
    timestamp: Time
    age_ms: int


class Environment(Shape):
    """All CLI types that agents use."""

    #: ``healthy`` or ``degraded``; ``no_data`` while no agent uses any.
    overall: str
    results: list[DiagnosisShape]
    #: What the machine has beside them; nothing of it is needed to run a prompt headless.
    machine: list[CheckShape]


class LookBody(Body):
    """What to look at."""

    #: One CLI type; without it all that agents use.
    cli_type: CliTypeName | None = None


@router.get("/api/health/environment", response_model=None)
async def environment(given: Given, cli: CliTypeName | None = None) -> Environment | DiagnosisShape:
    """What the doctor found when it last looked: at one CLI type, or at all that have agents.

    What it has not looked at yet, and what no agent uses, it looks at now, and starts nothing.
    """
    return await _told(given, await given.doctor.latest(cli), is_one=cli is not None)


@router.post("/api/health/environment", response_model=None)
async def look(given: Given, body: LookBody | None = None) -> Environment | DiagnosisShape:
    """The same, looked at now; alerts fire and resolve by what is found."""
    cli = None if body is None else body.cli_type
    return await _told(given, await given.doctor.look(cli), is_one=cli is not None)


async def _told(given: Services, found: Sequence[Diagnosis], *, is_one: bool) -> Environment | DiagnosisShape:
    now = given.clock.now()
    if is_one:
        return diagnosis_shape(found[0], now)
    tier = (await given.supervision.found()).tier
    machine = await asyncio.to_thread(look_at_machine, given.environment, tier)
    return environment_shape(found, machine, now)


def environment_shape(found: Sequence[Diagnosis], machine: Sequence[Check], now: datetime) -> Environment:
    """What was found, as it is told."""
    results = [diagnosis_shape(diagnosis, now) for diagnosis in found]
    return Environment(
        overall=_overall(results),
        results=results,
        machine=[CheckShape.model_validate(check) for check in machine],
    )


def _overall(results: list[DiagnosisShape]) -> str:
    if not results:
        return "no_data"
    return "healthy" if all(one.passed for one in results) else "degraded"


def diagnosis_shape(diagnosis: Diagnosis, now: datetime) -> DiagnosisShape:
    """One CLI type's, as it is told."""
    return DiagnosisShape(
        cli_type=diagnosis.cli_type,
        passed=diagnosis.passed,
        checks=[CheckShape.model_validate(check) for check in diagnosis.checks],
        warnings=list(diagnosis.warnings),
        timestamp=diagnosis.checked_at,
        age_ms=max(now - diagnosis.checked_at, timedelta(0)) // MILLISECOND,
    )
