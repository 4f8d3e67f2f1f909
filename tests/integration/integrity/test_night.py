"""What the engine's module does beside its hour."""

from __future__ import annotations

from datetime import time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from kokino.errors import StorageError
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
