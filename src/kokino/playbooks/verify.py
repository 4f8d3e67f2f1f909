"""Whether the service is well again: judged by what it did, not by what it stopped doing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from kokino.playbooks.evaluate import explain, scope_of
from kokino.playbooks.model import StepResult, Verify
from kokino.playbooks.patterns import Verdict, weigh


class VerifyState(StrEnum):
    """What to do after a round of the Verify steps."""

    #: Run another round after `Verify.every`.
    WAITING = "waiting"
    #: The service is well: the incident is mitigated.
    VERIFIED = "verified"
    #: It did not become well in time: escalate.
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a round of Verify steps came to."""

    #: What to do now.
    state: VerifyState
    #: Why, as a sentence.
    reason: str


def judge(
    verify: Verify, results: Mapping[str, StepResult], *, acted_at: datetime, now: datetime
) -> Judgement:
    """Judge one round.

    `acted_at` is the end of the last action. The steps look back over `verify.window`: before that much time
    has passed they would still see what was before the action, so nothing is judged.
    """
    scope = scope_of(results)
    verdict, deciding = weigh(verify.conditions, scope)
    found = "; ".join(explain(condition, scope) for condition in deciding)
    has_whole_window = now - acted_at >= verify.window
    if has_whole_window and verdict is Verdict.MATCHED:
        return Judgement(state=VerifyState.VERIFIED, reason=found)
    if now - acted_at >= verify.within:
        return Judgement(state=VerifyState.EXPIRED, reason=found)
    if not has_whole_window:
        return Judgement(state=VerifyState.WAITING, reason="the window since the last action is not over")
    return Judgement(state=VerifyState.WAITING, reason=found)
