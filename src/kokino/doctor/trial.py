"""What a CLI came to when it was started to be tried out."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from kokino.doctor.last_words import last_words
from kokino.doctor.model import Check
from kokino.executions.model import Execution, State
from kokino.process.errand import Report
from kokino.process.versions import version_in
from kokino.storage.redact import redacted


def judge(argv: Sequence[str], report: Report, seconds: float, env: Mapping[str, str]) -> Check:
    """Whether a CLI that was asked for its version has started and ended as it should."""
    # A CLI type's command may hold a secret, whatever came of it.
    asked, ended = f"`{redacted(shlex.join(argv))}`", report.ended
    if ended.code == 0:
        said = version_in(report.stdout) or "no version"
        return Check(name="dryrun", passed=True, message=f"{asked} told {said} in {seconds:.1f} s")
    if ended.breach is not None:
        how = f"took more {ended.breach} than any CLI does for that, and was killed"
    elif ended.signal is not None:
        how = f"was ended by signal {ended.signal}"
    else:
        how = f"exited with {ended.code}"
    return failed(
        f"{asked} {how}{last_words(report, env)}; run it to see all that it says, or install it anew"
    )


def late(argv: Sequence[str], patience: float) -> Check:
    """It did not end in time, twice in a row."""
    said = f"`{shlex.join(argv)}` did not end within {patience:g} s and was killed with its processes, twice"
    return failed(f"{said}; run it to see what it waits for")


def failed(message: str) -> Check:
    """A trial that failed. No command mends every CLI that does not start: the message says what to do."""
    return Check(name="dryrun", passed=False, message=redacted(message))


def untried(reason: str) -> Check:
    """Nothing was started, as somebody wants it."""
    message = f"not tried: {reason}"
    return Check(name="dryrun", passed=True, message=message, is_required=False, is_tried=False)


def unmade(reason: str, *, mend: str | None = None) -> Check:
    """Nothing could be started here: a warning, for nobody knows now whether the CLI does."""
    message = f"not tried: {reason}"
    return Check(name="dryrun", passed=False, message=message, is_required=False, is_tried=False, mend=mend)


def judge_answer(execution: Execution) -> Check:
    """Whether a CLI has answered a prompt."""
    if execution.state is State.COMPLETED:
        return Check(name="dryrun", passed=True, message=f"answered a prompt: {execution.execution_id}")
    kind = execution.kind.value if execution.kind else execution.state.value
    said = f"a prompt failed with kind {kind}: {execution.error or execution.state.value}"
    return failed(f"{said} ({execution.execution_id})")
