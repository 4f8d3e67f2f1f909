"""What is read of a file that a CLI keeps of its session."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest

from kokino.agents.drivers.contract import Reader
from kokino.agents.drivers.terminal.transcript import TranscriptReader
from kokino.executions.output.follow import Follow
from kokino.executions.output.spool import Spool
from kokino.executions.output.streams import Source
from kokino.executions.stop import Stop
from kokino.testing.clock import ManualClock

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
END = json.dumps({"type": "system", "subtype": "turn_duration", "durationMs": 1}) + "\n"


def following(folder: Path, reader: Reader, stop_tree: Callable[[], object]) -> Follow:
    """A process that nobody records."""
    return Follow(
        execution=cast("Any", SimpleNamespace(execution_id="exec-1", agent_id="a", started_at=NOW)),
        limits=cast("Any", None),
        reader=reader,
        spool=Spool(folder / "spool"),
        recorder=cast("Any", None),
        clock=ManualClock(NOW),
        stop_tree=stop_tree,
        on_records=lambda execution_id: None,
    )


async def test_an_earlier_turns_end_ends_no_later_one(tmp_path: Path) -> None:
    """A session that is cut while it works ends the execution; what stood there before is not heard."""
    session, reader, stopped = tmp_path / "session.jsonl", TranscriptReader(), []
    session.write_text(END * 2, encoding="utf-8")
    follow = following(tmp_path, reader, lambda: stopped.append(True))
    begins_at = session.stat().st_size
    follow.read_from(
        Source(name="session", path=session, take=reader.stdout, begins_at=begins_at, is_ours=False)
    )
    assert not await follow._look()
    session.write_text(END, encoding="utf-8")
    assert not await follow._look()
    assert (reader.is_final, follow.stop, stopped) == (False, Stop.CUT, [True])


async def test_one_that_cannot_be_followed_any_more_keeps_no_file_open(tmp_path: Path) -> None:
    """An agent has put a pipe in the place of one of its outputs, and a broker lives for weeks."""
    follow = following(tmp_path, TranscriptReader(), lambda: None)
    follow.spool.folder.mkdir()
    follow.spool.stdout.write_text("begun\n", encoding="utf-8")
    os.mkfifo(follow.spool.stderr)
    with pytest.raises(OSError, match="no regular file"):
        await follow.until(asyncio.get_running_loop().create_future(), deadlines=asyncio.sleep(0))
    assert [held.path for held in psutil.Process().open_files() if str(tmp_path) in held.path] == []
