"""What is told of a verdict, as events: they feed the objective `correctness` and its alert."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from kokino.shadow.model import Comparison, Verdict
from kokino.telemetry import store as telemetry
from kokino.telemetry.model import Event, EventType

TYPES = {Verdict.MATCH: EventType.SHADOW_SUCCESS, Verdict.MISMATCH: EventType.SHADOW_MISMATCH}


def tell(conn: Connection, judged: Comparison) -> None:
    """Append the verdict's event, and one where headless was much slower. What was not compared has none."""
    if judged.verdict in TYPES:
        telemetry.append(conn, _event(TYPES[judged.verdict], judged, judged.reason))
    if judged.is_regression:
        times = (
            f"{_seconds(judged.headless.duration_ms)} headless, {_seconds(judged.tmux.duration_ms)} by tmux"
        )
        telemetry.append(conn, _event(EventType.SHADOW_LATENCY_REGRESSION, judged, times))


def _event(type: EventType, judged: Comparison, message: str | None) -> Event:
    data: dict[str, Any] = {
        "shadowExecutionId": judged.shadow_execution_id,
        "layer": judged.layer and judged.layer.value,
        "similarity": judged.similarity,
        "threshold": judged.threshold,
        "tmuxMs": judged.tmux.duration_ms,
        "headlessMs": judged.headless.duration_ms,
    }
    assert judged.ended_at is not None  # noqa: S101 - a verdict has its instant
    return Event(
        type=type,
        at=judged.ended_at,
        agent_id=judged.agent_id,
        cli_type=judged.cli_type,
        account=judged.account,
        execution_id=judged.execution_id,
        label=judged.label,
        message=message,
        data=data,
    )


def _seconds(ms: int | None) -> str:
    return "unknown" if ms is None else f"{ms / 1000:.1f} s"
