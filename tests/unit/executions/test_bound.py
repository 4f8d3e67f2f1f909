"""Which executions end with their broker."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kokino.executions.bound import Bound, Tie
from kokino.executions.conductor import Conductor
from kokino.testing.clock import ManualClock

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("driver", "mode", "tie"),
    [("scripted", "tmux", Tie.TMUX), ("acp", "headless", Tie.DIALOGUE), ("scripted", "headless", None)],
)
def test_what_was_begun_is_bound_to_who_types_or_speaks(
    tmp_path: Path, driver: str, mode: str, tie: Tie | None
) -> None:
    """Before its CLI was started nothing would be lost: the next broker begins with it."""
    workshop = SimpleNamespace(spool=tmp_path, logs=tmp_path, storage=None, clock=ManualClock(NOW))
    execution = SimpleNamespace(
        execution_id="exec-1",
        agent_id="a",
        driver=driver,
        mode=mode,
        session_id="s",
        is_resume=False,
        started_at=NOW,
        queued_at=NOW,
    )
    conductor = Conductor(
        workshop=cast("Any", workshop),
        execution=cast("Any", execution),
        limits=cast("Any", None),
        on_records=lambda execution_id: None,
    )
    assert conductor.bound is None
    (tmp_path / "exec-1").mkdir()
    (tmp_path / "exec-1" / "1.stdout").touch()
    assert conductor.bound == (tie and Bound(execution_id="exec-1", agent_id="a", by=tie))
