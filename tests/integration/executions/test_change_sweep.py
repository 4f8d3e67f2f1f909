"""What executions changed is kept for 30 days after their end, and not for ever."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from kokino.executions import store
from kokino.executions.changes import sweep as change_sweep
from kokino.executions.changes.sweep import INTERVAL, KEPT, SOON, ChangeSweep
from kokino.executions.model import Ending, State
from tests.integration.executions.given import Queue, at, execution


@pytest.fixture
def sweep(queue: Queue, tmp_path: Path) -> ChangeSweep:
    """A sweep of a folder that is not there yet."""
    return ChangeSweep(queue.storage, tmp_path / "changes")


def changed(folder: Path, *execution_ids: str) -> None:
    """Let executions have objects there."""
    for execution_id in execution_ids:
        objects = folder / "changes" / execution_id / "objects"
        objects.mkdir(parents=True)
        (objects / "blob").write_bytes(b"x" * 1000)


async def end(queue: Queue, execution_id: str, *, seconds: float) -> None:
    """Give an execution its end."""
    ending = Ending(state=State.CANCELLED)
    await queue.storage.write(lambda conn: store.end(conn, execution_id, ending, now=at(seconds)))


def left(folder: Path) -> list[str]:
    """Whose folders are there."""
    return sorted(path.name for path in (folder / "changes").iterdir())


async def test_an_execution_that_ended_long_ago_keeps_nothing(
    queue: Queue, sweep: ChangeSweep, tmp_path: Path
) -> None:
    """One that has not ended does, however old it is; one that nobody knows does not."""
    await queue.accept(execution("old"), execution("young"), execution("waits"))
    await end(queue, "old", seconds=0)
    await end(queue, "young", seconds=1)
    changed(tmp_path, "old", "young", "waits", "unknown")

    await sweep.run(at(1) + KEPT)

    assert left(tmp_path) == ["waits", "young"]


async def test_it_looks_once_in_an_hour(sweep: ChangeSweep, tmp_path: Path) -> None:
    """And without a folder too: nothing was changed yet."""
    assert await sweep.run(at(0)) == at(0) + INTERVAL
    changed(tmp_path, "unknown")
    await sweep.run(at(0) + INTERVAL - timedelta(seconds=1))
    assert left(tmp_path) == ["unknown"]
    assert await sweep.run(at(0) + INTERVAL) == at(0) + 2 * INTERVAL
    assert left(tmp_path) == []


async def test_many_go_bit_by_bit(
    sweep: ChangeSweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine's other modules wait for none that takes long."""
    monkeypatch.setattr(change_sweep, "AT_ONCE", 2)
    monkeypatch.setattr(change_sweep, "ASKED", 1)
    changed(tmp_path, "a", "b", "c")
    assert await sweep.run(at(0)) == at(0) + SOON
    assert left(tmp_path) == ["c"]
    assert await sweep.run(at(0) + SOON) == at(0) + SOON + INTERVAL
    assert left(tmp_path) == []
