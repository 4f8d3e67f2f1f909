"""One run of a playbook for one episode of an alert, and its steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from kokino.playbooks.model import StepResult, read_result


class RunState(StrEnum):
    """Where a run is. Only `TRANSITIONS` says how it gets there."""

    #: Runs the Investigate steps until a pattern matches.
    INVESTIGATING = "investigating"
    #: Runs the actions of the pattern.
    MITIGATING = "mitigating"
    #: Waits for Verify to hold.
    VERIFYING = "verifying"
    #: Verified; waits to take back what it switched over.
    RESTORING = "restoring"
    #: Verified, and everything taken back.
    SUCCEEDED = "succeeded"
    #: Handed to people.
    ESCALATED = "escalated"

    @property
    def is_end(self) -> bool:
        """True where the broker does nothing more."""
        return self in {RunState.SUCCEEDED, RunState.ESCALATED}


#: What may follow what. Anything else is a bug and raises where it is tried.
TRANSITIONS: Mapping[RunState, frozenset[RunState]] = {
    RunState.INVESTIGATING: frozenset({RunState.MITIGATING, RunState.ESCALATED}),
    RunState.MITIGATING: frozenset({RunState.VERIFYING, RunState.ESCALATED}),
    RunState.VERIFYING: frozenset({RunState.RESTORING, RunState.SUCCEEDED, RunState.ESCALATED}),
    RunState.RESTORING: frozenset({RunState.SUCCEEDED, RunState.ESCALATED}),
}


class StepState(StrEnum):
    """How a step fared."""

    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    #: Not run: over its limit, or only a person may run it.
    SKIPPED = "skipped"
    #: The broker went away while it ran: nobody knows.
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a playbook."""

    run_id: str
    playbook_id: str
    #: Hash of the document that was run.
    playbook_hash: str
    alert_id: str
    episode_id: str
    #: The incident's number.
    incident: int
    state: RunState
    #: Values that the pattern gave: ``{"CLI_TYPE": "gemini"}``.
    inputs: Mapping[str, str]
    #: The chosen row; None before, and where none matched.
    pattern: str | None
    #: Why it is where it is, as a sentence.
    reason: str | None
    started_at: datetime
    #: End of the last action: Verify counts from here.
    verifying_at: datetime | None
    #: When it must be looked at again; None for at once.
    due_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRun:
    """One time that a step was run: evidence, kept as it was."""

    entry_id: int
    run_id: str
    step_id: str
    #: Section of the playbook.
    section: str
    effect: str
    #: The commands, as they stood in the playbook.
    block: str
    state: StepState
    exit_code: int | None
    #: Standard output and error, redacted and cut.
    output: str
    errors: str
    started_at: datetime
    ended_at: datetime | None

    @property
    def result(self) -> StepResult:
        """What expressions may read of it."""
        return read_result(self.exit_code, self.output)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What running a block came to."""

    state: StepState
    exit_code: int | None
    output: str
    errors: str
