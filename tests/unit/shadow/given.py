"""Executions and comparisons as they come out of a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from kokino.executions.model import Execution, State
from kokino.shadow.model import Comparison, Layer, Run, Verdict

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """An instant on the timeline."""
    return NOW + timedelta(seconds=seconds)


def execution(state: State = State.COMPLETED, *, took: float = 10.0, **more: Any) -> Execution:
    """One that began at 0 s and took so long, or still runs."""
    fields: dict[str, Any] = {
        "execution_id": "exec-1",
        "number": 1,
        "agent_id": "writer",
        "cli_type": "claude",
        "account": "claude:~",
        "mode": "shadow",
        "pool": "default",
        "prompt": "Say hello.",
        "timeout": timedelta(minutes=5),
        "queue_timeout": timedelta(minutes=5),
        "queued_at": NOW,
        "started_at": NOW,
        "ended_at": at(took) if state.is_end else None,
    }
    return Execution(state=state, **{**fields, **more})


def took(ms: int | None = 1000, **more: Any) -> Run:
    """A side that came to an answer."""
    return Run(**{"state": "completed", "duration_ms": ms, **more})


def comparison(verdict: Verdict = Verdict.MATCH, **more: Any) -> Comparison:
    """One that was judged, with two answers."""
    fields: dict[str, Any] = {
        "execution_id": "exec-1",
        "shadow_execution_id": "exec-1.shadow",
        "agent_id": "writer",
        "cli_type": "claude",
        "account": "claude:~",
        "label": None,
        "conversation_id": "conv-1",
        "began_at": NOW,
        "ended_at": at(10),
        "root": "/work",
        "threshold": 0.95,
        "layer": Layer.EXACT,
        "reason": "the same",
        "tmux": took(2000),
        "headless": took(1000),
    }
    return Comparison(verdict=verdict, **{**fields, **more})
