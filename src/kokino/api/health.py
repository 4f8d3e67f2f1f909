"""``/health``, ``/readyz`` and what broker it is."""

from __future__ import annotations

import os
from datetime import timedelta

from fastapi import Response

from kokino import __version__
from kokino.agents import store as agent_store
from kokino.api.routing import router_of
from kokino.api.services import Given, Services
from kokino.api.shapes import Shape, Time
from kokino.clock import MILLISECOND
from kokino.errors import StorageError
from kokino.integrity import store as integrity_store
from kokino.notify import store as outbox

router = router_of("health")

#: A page that has waited this long for its receiver means that people may not be reached.
LATE_PAGE = timedelta(minutes=2)


class Health(Shape):
    """That the broker answers."""

    status: str
    version: str
    uptime_ms: int
    started_at: Time


class BoundShape(Shape):
    """An execution that ends with its broker, as ``lost``."""

    execution_id: str
    agent_id: str
    #: ``tmux``, or ``dialogue`` for one that is spoken with.
    by: str


class RestartShape(Shape):
    """The last restart that was asked for."""

    at: Time
    #: How many executions went on under this broker.
    executions: int
    #: What ended with the broker before it.
    lost: list[BoundShape]
    #: Why it was not done; null when this broker came of it.
    refused: str | None


class About(Shape):
    """Where this broker is, for a person who follows a playbook by hand."""

    version: str
    home: str
    public_url: str
    started_at: Time
    #: The broker's process, and that of its warden.
    pid: int
    warden_pid: int
    #: Null when none was asked for since this process began.
    restart: RestartShape | None
    #: What a restart would end now.
    bound: list[BoundShape]


class Readiness(Shape):
    """That it can do its work, part by part."""

    status: str
    version: str
    uptime_ms: int
    checks: dict[str, str]
    #: ``ok``, or ``degraded`` while pages wait for a receiver or cannot be read.
    notifications: str
    #: ``ok``, or that the last integrity check found the database damaged. It is worked with all the same.
    integrity: str
    #: ``off``, ``ok``, or why the last one was not heard. Whoever listens has heard of it by then.
    heartbeat: str


@router.get("/health")
@router.get("/healthz", include_in_schema=False)
async def health(given: Given) -> Health:
    """Answers as long as the broker's loop turns; touches nothing else."""
    return Health(status="ok", version=__version__, uptime_ms=_uptime(given), started_at=given.started_at)


@router.get("/api/about")
async def about(given: Given) -> About:
    """What broker this is."""
    last = given.restarts.last
    return About(
        version=__version__,
        home=str(given.home),
        public_url=given.public_url,
        started_at=given.started_at,
        pid=os.getpid(),
        warden_pid=given.warden.pid,
        restart=None if last is None else RestartShape.model_validate(last),
        bound=[BoundShape.model_validate(bound) for bound in given.executions.runner.bound],
    )


@router.get("/readyz")
async def ready(given: Given, response: Response) -> Readiness:
    """200 when the database, the warden and every engine module work, else 503 with what does not."""
    checks = {
        "database": await _database(given),
        "warden": "ok" if given.warden.fault is None else f"failed: {given.warden.fault}",
    }
    dispatch = given.executions.dispatch
    checks["dispatch"] = "ok" if dispatch.error is None else f"failed: {dispatch.error}"
    for name, module in given.engine.health.items():
        checks[f"engine.{name}"] = "ok" if module.error is None else f"failed: {module.error}"
    is_ready = all(found == "ok" for found in checks.values())
    response.status_code = 200 if is_ready else 503
    return Readiness(
        status="ok" if is_ready else "failed",
        version=__version__,
        uptime_ms=_uptime(given),
        checks=checks,
        notifications=await _notifications(given),
        integrity=await _integrity(given),
        heartbeat="off" if given.heartbeat is None else given.heartbeat.fault or "ok",
    )


async def _notifications(given: Services) -> str:
    try:
        oldest = await given.storage.read(outbox.oldest_waiting)
    except StorageError:
        return "degraded"  # nobody is reached while it cannot be told who should be
    is_late = oldest is not None and given.clock.now() - oldest > LATE_PAGE
    return "degraded" if is_late else "ok"


async def _integrity(given: Services) -> str:
    try:
        check_id = await given.storage.read(integrity_store.damaged_at)
    except StorageError as error:
        return f"failed: {error.message}"
    return "ok" if check_id is None else f"damaged: found by the integrity check {check_id}"


async def _database(given: Services) -> str:
    try:
        await given.storage.read(agent_store.everyone)
    except StorageError as error:
        return f"failed: {error.message}"
    return "ok"


def _uptime(given: Services) -> int:
    return (given.clock.now() - given.started_at) // MILLISECOND
