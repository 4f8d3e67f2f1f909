"""``/metrics``: everything that a Prometheus scrapes, in one answer."""

from __future__ import annotations

import asyncio

from fastapi import Response
from sqlalchemy import Connection

from kokino.api import own_metrics
from kokino.api.routing import router_of
from kokino.api.services import Given
from kokino.errors import StorageError
from kokino.executions import store as execution_store
from kokino.executions.output.spool import occupied
from kokino.telemetry import exposition

router = router_of("metrics")


@router.get("/metrics", response_class=Response)
async def prometheus(given: Given) -> Response:
    """Everything that a Prometheus scrapes."""
    now = given.clock.now()

    def read(conn: Connection) -> tuple[exposition.Snapshot, own_metrics.Stored]:
        shown = exposition.snapshot(conn, now=now, running=execution_store.users_running(conn))
        return shown, own_metrics.read(conn, given.alert_rules)

    try:
        shown, stored = await given.storage.read(read)
    except StorageError:  # what is left to tell says so
        shown, stored = None, None
    spool_bytes = await asyncio.to_thread(occupied, given.executions.runner.workshop.spool)
    backups = await asyncio.to_thread(given.integrity.backups.list)
    # Where nothing is due for hours the engine sleeps as long: whoever watches whether it looks keeps it
    # looking, and reads at the next scrape that it did.
    given.engine.wake()
    own = own_metrics.OwnHealth(given, stored, spool_bytes=spool_bytes, backups=backups, now=now)
    return Response(exposition.render(shown, more=[own]), media_type=exposition.CONTENT_TYPE)
