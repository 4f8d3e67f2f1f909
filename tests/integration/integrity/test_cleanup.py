"""What a cleanup puts right, what it leaves alone, and that nothing is deleted without a backup."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection, FromClause

from kokino.conversations import fault_store, orphan_store
from kokino.conversations import store as conversation_store
from kokino.errors import Conflict, StorageError
from kokino.integrity.backups import Why
from kokino.integrity.cleaning import clean_up
from kokino.integrity.model import Cleanup, Kind, Repairs
from kokino.integrity.service import Integrity
from kokino.integrity.standing import standing
from kokino.storage import Storage, look_into
from kokino.telemetry import store as telemetry
from kokino.testing.clock import ManualClock
from tests.integration.integrity.conftest import Plant
from tests.integration.integrity.damage import FOREIGN, swap, tear_page
from tests.integration.integrity.test_checks import ORPHAN, RECORD, SESSION, TRANSITION

#: The caller's own backup, which a server's database needs.
REFERENCE = "kokino.dump"


async def cleaned(
    integrity: Integrity, *, is_dry_run: bool = False, max_delete: int | None = None
) -> Cleanup:
    """A cleanup, with what each database needs for one."""
    reference = None if integrity.storage.file else REFERENCE
    return await clean_up(
        integrity, is_dry_run=is_dry_run, reference=reference, by="test", max_delete=max_delete
    )


async def said(storage: Storage, conversation_id: str = "c1") -> list[tuple[int, str]]:
    """Its turns, with their numbers."""
    turns = await storage.read(lambda conn: conversation_store.turns_of(conn, conversation_id))
    return [(turn.number, turn.turn_id) for turn in turns]


async def test_all_that_may_be_is_put_right(integrity: Integrity, whole: Storage, plant: Plant) -> None:
    """Orphans, a record of no execution and a lost session go; swapped turns change places again."""
    before = await said(whole)
    plant(ORPHAN.format(1, "gone"), RECORD, SESSION.format("TRUE"), *swap("user-1", "assistant-2"))
    done = await cleaned(integrity)
    assert done.repairs.deleted == {Kind.ORPHANED_TURN: 1, Kind.FOREIGN_KEY: 1, Kind.DANGLING_SESSION: 1}
    assert done.repairs.renumbered == 2
    assert await said(whole) == before
    assert done.after is not None
    assert done.after.passed
    assert done.refused == []


async def test_the_last_event_lowers_the_alert(integrity: Integrity, whole: Storage, plant: Plant) -> None:
    """Raised by what was found, then the cleanup, then the clean check."""
    plant(ORPHAN.format(1, "gone"))
    await cleaned(integrity)
    told = [event.type for event in await whole.read(telemetry.recent)]
    assert told[::-1] == [
        "ORPHAN_DETECTED",
        "INTEGRITY_CHECK_FAILED",
        "INTEGRITY_CLEANUP",
        "INTEGRITY_CHECK_PASSED",
    ]


async def test_a_dry_run_changes_nothing(integrity: Integrity, whole: Storage, plant: Plant) -> None:
    """It says what would be done, makes no backup, and writes down nothing that an alert would go by."""
    plant(ORPHAN.format(1, "gone"), *swap("user-1", "user-2"))
    before = await said(whole)
    would = await cleaned(integrity, is_dry_run=True)
    assert (would.repairs.deleted_count, would.repairs.renumbered, would.backup) == (1, 2, None)
    assert await said(whole) == before
    assert integrity.backups.list() == []
    assert (await integrity.history(limit=1), await whole.read(telemetry.recent)) == ([], [])
    assert (await integrity.check(by="test")).counts[Kind.ORPHANED_TURN] == 1


async def test_foreign_turns_keep_their_numbers_and_the_others_change_places(
    integrity: Integrity, whole: Storage, plant: Plant
) -> None:
    """One of another agent's earlier execution, one of none that is there: neither hinders a cleanup."""
    before = await said(whole)
    plant(*FOREIGN)
    assert (await integrity.check(by="test")).counts == {Kind.FOREIGN_TURN: 2}
    plant(*swap("user-1", "assistant-2"))
    done = await cleaned(integrity)
    assert (done.repairs.deleted, done.repairs.renumbered) == ({}, 2)
    assert done.after is not None
    assert done.after.counts == {Kind.FOREIGN_TURN: 2}
    assert await said(whole) == [*before, (5, "foreign-5"), (6, "foreign-6")]


async def test_what_a_check_calls_repairable_is_repaired(
    integrity: Integrity, whole: Storage, plant: Plant
) -> None:
    """And nothing else: what is in order by its times, but not by its executions, stays; the rest goes on."""
    plant(
        ORPHAN.format(1, "gone"),
        *swap("user-1", "user-2"),
        "UPDATE turns SET said_at = number WHERE conversation_id = 'c1'",
        "UPDATE turns SET execution_id = NULL WHERE turn_id = 'assistant-2'",
    )
    before = await said(whole)
    done = await cleaned(integrity)
    assert done.before.repairable == done.repairs.deleted == {Kind.ORPHANED_TURN: 1}
    assert [one.kind for one in done.refused] == [Kind.TURN_ORDER]
    assert await said(whole) == before


async def test_nothing_is_renumbered_by_no_numbers(whole: Storage) -> None:
    """Turns stay where they are."""
    before = await said(whole)
    await whole.write(lambda conn: fault_store.renumber(conn, {}))
    assert await said(whole) == before


async def test_what_has_no_one_right_way_is_left_alone(
    integrity: Integrity, whole: Storage, plant: Plant
) -> None:
    """Turns whose times and executions disagree, and rows that were to stay: refused, with a reason."""
    plant(TRANSITION, *swap("user-1", "user-2"), "UPDATE turns SET said_at = 1 WHERE turn_id = 'assistant-2'")
    before = await said(whole)
    done = await cleaned(integrity)
    assert {one.kind for one in done.refused} == {Kind.TURN_ORDER, Kind.FOREIGN_KEY}
    assert all(one.reason for one in done.refused)
    assert await said(whole) == before
    assert (done.repairs.deleted_count, done.backup) == (0, None)


async def test_a_copy_that_says_the_same_goes(integrity: Integrity, whole: Storage, plant: Plant) -> None:
    """The first one stays."""
    before = await said(whole)
    plant(
        "INSERT INTO turns (turn_id, conversation_id, number, execution_id, role, content, said_at)"
        " SELECT 'double', conversation_id, 99, execution_id, role, content, said_at"
        " FROM turns WHERE turn_id = 'assistant-2'"
    )
    done = await cleaned(integrity)
    assert done.repairs.deleted == {Kind.DUPLICATE_TURN: 1}
    assert await said(whole) == before


async def test_many_orphans_go_in_batches_and_no_writer_searches(
    integrity: Integrity, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is left, and none is counted twice; what goes through all turns is a reader."""
    searched_by = list[str]()
    search = orphan_store.orphan_ids

    def noted(conn: Connection, tellers: FromClause, *, limit: int) -> list[str]:
        searched_by.append(threading.current_thread().name)
        return search(conn, tellers, limit=limit)

    monkeypatch.setattr(orphan_store, "orphan_ids", noted)
    monkeypatch.setattr("kokino.integrity.repair.ROWS", 2)
    monkeypatch.setattr("kokino.integrity.repair.FOUND", 3)
    plant(*(ORPHAN.format(number, "gone") for number in range(5)))
    done = await cleaned(integrity)
    assert done.repairs.deleted == {Kind.ORPHANED_TURN: 5}
    assert len(searched_by) == 3
    assert all(name.startswith("kokino-read") for name in searched_by)


async def test_conversations_of_which_executions_tell_are_inserted_again(
    integrity: Integrity, whole: Storage, plant: Plant
) -> None:
    """All were deleted with foreign keys off: not one turn is lost, and each is its agent's again."""
    plant("DELETE FROM conversations")
    before = await integrity.check(by="test")
    assert (before.counts, before.would_delete) == ({Kind.LOST_CONVERSATION: 6}, 0)
    assert [event.type for event in await whole.read(telemetry.recent)][-1] == "ORPHAN_DETECTED"
    turns = await said(whole), await said(whole, "c2")
    would = await cleaned(integrity, is_dry_run=True)
    done = await cleaned(integrity)
    assert (done.repairs, would.repairs) == (Repairs(deleted={}, restored=2),) * 2
    assert (await said(whole), await said(whole, "c2")) == turns
    assert done.after is not None
    assert done.after.passed
    kept = await whole.read(lambda conn: fault_store.portion(conn, after="", limit=9, turns_at_once=99))
    assert kept == {"c1": "writer", "c2": "writer"}


async def test_more_than_a_few_rows_go_only_when_somebody_says_how_many(
    integrity: Integrity, whole: Storage, plant: Plant
) -> None:
    """Eleven orphans of seventeen turns: refused with the number, done when it is given back."""
    plant(*(ORPHAN.format(number, "gone") for number in range(11)))
    for too_few in (None, 10):
        with pytest.raises(Conflict, match='"maxDelete": 11'):
            await cleaned(integrity, max_delete=too_few)
    assert (await integrity.check(by="test")).counts == {Kind.ORPHANED_TURN: 11}
    done = await cleaned(integrity, max_delete=11)
    assert done.repairs.deleted == {Kind.ORPHANED_TURN: 11}


async def test_a_servers_database_needs_a_backup_that_is_named(
    integrity: Integrity, whole: Storage, plant: Plant
) -> None:
    """Without one nothing is deleted and pg_dump is named; SQLite makes its own, which holds the orphan."""
    plant(ORPHAN.format(1, "gone"))
    if whole.file is None:
        with pytest.raises(Conflict, match="pg_dump"):
            await clean_up(integrity, is_dry_run=False, reference=None, by="test")
        assert (await integrity.check(by="test")).counts == {Kind.ORPHANED_TURN: 1}
        assert (await cleaned(integrity)).backup == REFERENCE
        return
    done = await cleaned(integrity)
    [backup] = integrity.backups.list()
    assert str(backup.path) == done.backup
    assert backup.path.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(backup.path)) as copy:
        assert copy.execute("SELECT turn_id FROM turns WHERE conversation_id = 'gone'").fetchall() == [
            ("lost-1",)
        ]


async def test_nothing_is_backed_up_where_nothing_is_wrong(integrity: Integrity) -> None:
    """So that a cleanup in a loop drives out no backup."""
    done = await cleaned(integrity)
    assert (done.backup, done.repairs.deleted_count, integrity.backups.list()) == (None, 0, [])


async def test_without_a_backup_nothing_is_deleted(
    integrity: Integrity, whole: Storage, plant: Plant
) -> None:
    """Where the folder cannot be made, the cleanup fails and the orphan stays."""
    if whole.file is None:
        return  # a server's backup is its caller's
    plant(ORPHAN.format(1, "gone"))
    (whole.file.parent / "backups").write_text("in the way")
    with pytest.raises(StorageError, match="the backup was not made"):
        await cleaned(integrity)
    assert (await integrity.check(by="test")).counts == {Kind.ORPHANED_TURN: 1}


async def test_only_so_many_backups_of_the_night_stay_and_the_others_for_a_time(
    integrity: Integrity, plant: Plant, clock: ManualClock
) -> None:
    """A cleanup's alone holds what was deleted: neither the next cleanup's nor the number drives it out."""
    if integrity.backups.database is None:
        with pytest.raises(Conflict, match="pg_dump"):
            await integrity.back_up()
        return
    integrity.backups = replace(integrity.backups, keep=1)
    night = [await integrity.back_up(Why.NIGHTLY) for _ in range(2)]
    asked, cleanups = await integrity.back_up(), []
    for _ in range(2):
        plant(ORPHAN.format(1, "gone"))
        cleanups.append((await cleaned(integrity)).backup)
    left = {str(backup.path) for backup in integrity.backups.list()}
    assert left == {str(night[1].path), str(asked.path), *cleanups}
    clock.move_to(clock.now() + timedelta(days=90, seconds=1))
    night.append(await integrity.back_up(Why.NIGHTLY))
    assert [backup.path for backup in integrity.backups.list()] == [night[2].path]


async def test_a_backup_of_a_clock_that_was_set_back_stays(integrity: Integrity, clock: ManualClock) -> None:
    """By its name it is the oldest, and it is the one that was asked for."""
    if integrity.backups.database is None:
        return
    integrity.backups = replace(integrity.backups, keep=1)
    await integrity.back_up(Why.NIGHTLY)
    integrity.clock = ManualClock(clock.now() - timedelta(days=1))
    made = await integrity.back_up(Why.NIGHTLY)
    assert [backup.path for backup in integrity.backups.list()] == [made.path]


async def test_a_torn_page_is_named_and_never_cleaned(integrity: Integrity, plant: Plant) -> None:
    """The check says that the file is damaged; the cleanup is refused with the way to restore."""
    database = integrity.backups.database
    if database is None:
        return  # the server's files are not ours to tear
    plant(ORPHAN.format(1, "gone"))
    assert not (await integrity.check(by="test")).is_damaged
    tear_page(database, "turns")
    report = await integrity.check(by="test")
    assert report.is_damaged
    assert report.findings[0].kind is Kind.FILE_DAMAGE
    with pytest.raises(Conflict, match="kokino integrity restore"):
        await cleaned(integrity)
    assert integrity.backups.list() == []


async def test_backups_are_listed_though_the_database_cannot_be_read(
    integrity: Integrity, whole: Storage
) -> None:
    """They are what is asked for then."""
    if whole.file is None:
        return  # the server's files are not ours to tear
    made = await integrity.back_up()
    await integrity.check(by="test")
    assert (await standing(whole, integrity.backups, limit=1)).unread is None
    tear_page(whole.file, "integrity_checks")
    found = await standing(look_into(f"sqlite:///{whole.file}"), integrity.backups, limit=1)
    assert "malformed" in str(found.unread)
    assert (found.totals, found.history, [one.path for one in found.backups]) == (None, [], [made.path])
