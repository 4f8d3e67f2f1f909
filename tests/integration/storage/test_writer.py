"""One writer, shared commits: what the group commit does on both databases, and when something goes wrong."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Connection, Engine, event

from kokino.errors import StorageError
from kokino.storage import Storage
from tests.integration.storage.gate import Gate, in_one_batch
from tests.integration.storage.rows import keys, note


def fails_to_commit(conn: Connection) -> None:
    """Leaves a reference to nothing, which the database looks for only at the commit."""
    conn.exec_driver_sql(
        "CREATE TABLE children"
        " (parent VARCHAR(64) REFERENCES installation (key) DEFERRABLE INITIALLY DEFERRED)"
    )
    conn.exec_driver_sql("INSERT INTO children VALUES ('nobody')")


async def test_what_waits_while_a_commit_runs_shares_the_next_one(
    storage: Storage, request: pytest.FixtureRequest
) -> None:
    """Ten writers, one commit for all of them after the one that they waited for."""
    commits = []

    def note_commit(_conn: Connection) -> None:
        commits.append(1)

    event.listen(Engine, "commit", note_commit)
    request.addfinalizer(lambda: event.remove(Engine, "commit", note_commit))
    await in_one_batch(storage, *(note(str(number)) for number in range(10)))
    assert len(commits) == 2
    assert len(await storage.read(keys)) == 10


async def test_a_failed_commit_fails_the_whole_batch_and_nothing_of_it_is_kept(storage: Storage) -> None:
    """Nobody is told that something is durable which is not; the next write works again."""
    results = await in_one_batch(storage, note("a"), fails_to_commit, note("b"))
    assert [type(result) for result in results] == [StorageError] * 3
    assert "foreign key constraint" in str(results[0]).lower()
    assert await storage.read(keys) == set()
    await storage.write(note("c"))
    assert await storage.read(keys) == {"c"}


async def test_what_its_caller_gave_up_before_its_turn_is_not_written(storage: Storage) -> None:
    """And its neighbours are."""
    gate = Gate()
    holding = asyncio.create_task(storage.write(gate.hold))
    await gate.entered()
    given_up = asyncio.create_task(storage.write(note("given up")))
    kept = asyncio.create_task(storage.write(note("kept")))
    await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    gate.open()
    await asyncio.gather(holding, kept)
    assert await storage.read(keys) == {"kept"}


async def test_what_its_caller_gave_up_too_late_is_written_and_harms_nobody(storage: Storage) -> None:
    """A cancelled caller cannot stop a transaction that has begun, nor break the writer."""
    gate = Gate()

    def slow(conn: Connection) -> None:
        gate.hold(conn)
        note("late")(conn)

    writing = asyncio.create_task(storage.write(slow))
    await gate.entered()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    gate.open()
    await storage.write(note("next"))
    assert await storage.read(keys) == {"late", "next"}


async def test_the_writer_counts_what_it_does(storage: Storage) -> None:
    """Ten writes in two commits, then one that fails; nothing waits afterwards."""

    def counted() -> tuple[float, float, float]:
        found = {
            sample.name: sample.value for family in storage.writes.collect() for sample in family.samples
        }
        return (
            found["kokino_storage_commit_seconds_count"],
            found["kokino_storage_writes_total"],
            found["kokino_storage_commit_failures_total"],
        )

    before = counted()
    await in_one_batch(storage, *(note(str(number)) for number in range(9)))
    with pytest.raises(StorageError):
        await storage.write(fails_to_commit)
    commits, writes, failures = (now - then for now, then in zip(counted(), before, strict=True))
    assert (commits, writes, failures) == (2, 10, 1)
    assert storage.waiting == 0
