"""What an execution came to and took, as a side of a comparison."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import datetime

from kokino.clock import MILLISECOND
from kokino.executions.model import Execution
from kokino.shadow import fate
from kokino.shadow.model import Changed, Comparison, Result, Run

#: Of more changed files than this, only one hash of all is kept.
FILES = 1_000


def measured(
    pending: Comparison, tmux: Execution | None, headless: Execution | None, now: datetime
) -> Comparison:
    """The comparison with what both sides took, judged at `now`."""
    is_regression = tmux is not None and headless is not None and fate.is_regression(tmux, headless, now)
    # Until the shadow side began, tmux waited for the snapshot: that is no time of its own.
    began_at = None if headless is None else headless.started_at
    return replace(
        pending,
        ended_at=now,
        tmux=_run(tmux, began_at),
        headless=_run(headless, began_at),
        is_regression=is_regression,
    )


def result_of(execution: Execution, content: str, changed: Changed | None) -> Result:
    """What a side came to."""
    return Result(
        state=execution.state.value,
        kind=execution.kind.value if execution.kind else None,
        content=content,
        changed=changed,
    )


def condensed(changed: Changed) -> Changed:
    """`changed`, or one hash of it where it is long: then it is only known whether both are the same."""
    if len(changed) <= FILES:
        return changed
    whole = json.dumps(dict(changed), sort_keys=True).encode()
    return {f"({len(changed):,} files)": "all:" + hashlib.sha256(whole).hexdigest()}


def _run(execution: Execution | None, began_at: datetime | None) -> Run:
    if execution is None:
        return Run()
    is_timed = began_at is not None and execution.ended_at is not None
    return Run(
        state=execution.state.value,
        kind=execution.kind.value if execution.kind else None,
        error=execution.error,
        duration_ms=(execution.ended_at - began_at) // MILLISECOND if is_timed else None,  # type: ignore[operator]
        peak_memory_bytes=execution.peak_memory_bytes,
        cost_usd=execution.cost_usd,
    )
