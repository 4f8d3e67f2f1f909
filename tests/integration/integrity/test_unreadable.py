"""Values that nobody can read: a check names them instead of breaking off, and nothing is cleaned up."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from kokino.errors import Conflict
from kokino.integrity import checks, findings, store
from kokino.integrity.cleaning import clean_up
from kokino.integrity.model import Kind, Report
from kokino.integrity.module import AFTER_FAILURE, NightlyIntegrity
from kokino.integrity.seen import Seen
from kokino.integrity.service import Integrity
from kokino.storage import Reading, Storage
from kokino.telemetry import store as telemetry
from kokino.testing.clock import ManualClock
from tests.integration.integrity.conftest import Plant
from tests.integration.integrity.test_checks import ORPHAN, SESSION

#: What only SQLite takes.
OF_ANOTHER_TYPE = {
    "turns.said_at": "UPDATE turns SET said_at = 'noon' WHERE turn_id = 'user-1'",
    "turns.number": "UPDATE turns SET number = 'one' WHERE turn_id = 'user-1'",
    "sessions.used_at": f"{SESSION.format(1)[:-2]}'noon')",
}
OF_NO_MEANING = {
    "turns.role": "UPDATE turns SET role = 'oracle' WHERE turn_id = 'user-1'",
    "turns.said_at": "UPDATE turns SET said_at = 1000000000000000000 WHERE turn_id = 'user-1'",
}


async def seen_by(integrity: Integrity, plant: Plant, place: str, statement: str) -> None:
    """Plant it with an orphan: both are named, and no cleanup begins."""
    plant(statement, ORPHAN.format(1, "gone"))
    report = await integrity.check(by="test")
    table, _, column = place.partition(".")
    first = report.findings[0]
    assert (first.kind, first.table, first.is_repairable) == (Kind.UNREADABLE_VALUE, table, False)
    assert first.message == f"1 row of {table}: the value of {column} is none that it may have"
    assert (report.counts[Kind.UNREADABLE_VALUE], report.counts[Kind.ORPHANED_TURN]) == (1, 1)
    assert len(report.not_checked) >= 1
    with pytest.raises(Conflict, match="nothing was cleaned up: 1 row of"):
        await clean_up(integrity, is_dry_run=False, reference="a dump", by="test")
    assert integrity.backups.list() == []
    told = {event.type for event in await integrity.storage.read(telemetry.recent)}
    assert {"CONVERSATION_INTEGRITY_FAIL", "ORPHAN_DETECTED", "INTEGRITY_CHECK_FAILED"} <= told


@pytest.mark.parametrize("place", OF_NO_MEANING)
async def test_a_value_without_a_meaning_is_named(integrity: Integrity, plant: Plant, place: str) -> None:
    """On both databases: a side that nobody has, a time that no calendar has."""
    await seen_by(integrity, plant, place, OF_NO_MEANING[place])


@pytest.mark.parametrize("place", OF_ANOTHER_TYPE)
async def test_a_value_of_another_type_is_named(
    integrity: Integrity, whole: Storage, plant: Plant, place: str
) -> None:
    """A server refuses to write one."""
    if whole.file is not None:
        await seen_by(integrity, plant, place, OF_ANOTHER_TYPE[place])


async def test_what_is_put_right_is_found_no_more(integrity: Integrity, plant: Plant) -> None:
    """The next check looks through everything again."""
    plant(OF_NO_MEANING["turns.role"])
    assert not (await integrity.check(by="test")).passed
    plant("UPDATE turns SET role = 'user' WHERE turn_id = 'user-1'")
    report = await integrity.check(by="test")
    assert (report.passed, report.turns) == (True, 6)


async def test_a_fault_of_ours_is_no_value_s(integrity: Integrity, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every value can be read, an error is raised as it is."""
    monkeypatch.setattr(checks, "_STEPS", {"a step": broken})
    with pytest.raises(ValueError, match="ours"):
        await integrity.check(by="test")


async def test_what_is_read_of_a_damaged_file_may_be_anything(
    whole: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The damage is told, and the other checks are made."""
    monkeypatch.setattr(checks, "_STEPS", {"a step": broken})
    seen = Seen()
    seen.note(findings.damaged("torn", is_file=True))
    await checks.look_at_rows(whole, seen)
    assert seen.not_checked == ["a step, to the end: a value there cannot be read"]


async def broken(_storage: Reading, _seen: Seen) -> None:
    """A step that fails."""
    raise ValueError("ours")


async def test_a_night_that_fails_by_a_fault_of_ours_waits_before_the_next_try(
    integrity: Integrity, whole: Storage, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever wakes the engine meanwhile begins nothing: it would look through the database without end."""
    tries: list[str] = []

    async def fails(_storage: Reading) -> Report:
        tries.append("one")
        raise ValueError("ours")

    monkeypatch.setattr(checks, "look", fails)
    module = NightlyIntegrity(whole, clock, integrity, at=time(12), zone=ZoneInfo("UTC"))
    await whole.write(lambda conn: store.note_nightly(conn, clock.now()))
    clock.move_to(datetime(2026, 1, 6, 12, tzinfo=UTC))
    for _ in range(3):
        due_at = await module.run(clock.now())
        while module.in_flight:
            await asyncio.sleep(0.005)
    assert (tries, due_at) == (["one"], clock.now() + AFTER_FAILURE)
