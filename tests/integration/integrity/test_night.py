"""What the engine's module does beside its hour."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from kokino.errors import StorageError
from kokino.integrity import store
from kokino.integrity.model import Trigger
from kokino.integrity.module import NightlyIntegrity
from kokino.integrity.service import Integrity
from kokino.storage import Storage
from kokino.telemetry import store as telemetry
from kokino.testing.clock import ManualClock
from tests.integration.integrity.conftest import Plant
from tests.integration.integrity.damage import tear_page


def nightly(integrity: Integrity, at: time | None = None) -> NightlyIntegrity:
    """The module over a service; never due by itself without a time."""
    return NightlyIntegrity(integrity.storage, integrity.clock, integrity, at=at, zone=ZoneInfo("UTC"))


def content(path: Path) -> bytes:
    """Of a file."""
    return path.read_bytes()


def put(path: Path, whole: bytes) -> None:
    """Overwrite a file that is in use."""
    with path.open("r+b") as file:
        file.write(whole)


async def test_damage_that_the_database_takes_no_note_of_fails_the_module(
    integrity: Integrity, whole: Storage, plant: Plant, clock: ManualClock
) -> None:
    """Until it is written down; then the events that raise the alert are there."""
    if whole.file is None:
        return  # the server's files are not ours to tear
    module = nightly(integrity)
    tear_page(whole.file, "turns")
    takes_notes = content(whole.file)
    tear_page(whole.file, "integrity_checks")
    assert (await integrity.check(by="test")).is_damaged
    assert integrity.untold is not None
    for _ in range(2):
        with pytest.raises(StorageError, match=r"the database is damaged.*takes no note"):
            await module.run(clock.now())
    assert await whole.read(telemetry.recent) == []
    put(whole.file, takes_notes)
    plant("UPDATE executions SET pid = 1")  # what connections remember of pages is void by that
    assert await module.run(clock.now()) is None
    assert integrity.untold is None
    told = {event.type for event in await whole.read(telemetry.recent)}
    assert {"CONVERSATION_INTEGRITY_FAIL", "INTEGRITY_CHECK_FAILED"} <= told


async def test_a_night_that_joins_a_check_that_was_asked_for_is_noted(
    integrity: Integrity, whole: Storage, clock: ManualClock
) -> None:
    """The next start has none to make up for; the check had begun before the hour, and counts for it."""
    module = nightly(integrity, at=time(12))
    await whole.write(lambda conn: store.note_nightly(conn, clock.now()))
    await module.run(clock.now())
    clock.move_to(datetime(2026, 1, 6, 11, 59, 59, tzinfo=UTC))
    asked = asyncio.create_task(integrity.check(by="test"))
    await asyncio.sleep(0)
    clock.move_to(datetime(2026, 1, 6, 12, tzinfo=UTC))
    await module.run(clock.now())
    await asked
    while module.in_flight:
        await asyncio.sleep(0.005)
    assert [one.trigger for one in await integrity.history(limit=9)] == [Trigger.ASKED]
    assert await whole.read(store.nightly_at) == clock.now()
    assert await module.run(clock.now()) == clock.now() + timedelta(days=1)
