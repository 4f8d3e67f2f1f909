"""How an alert changes its state: by one table, with a reason for every change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from kokino.alerts.evaluate import Verdict
from kokino.alerts.model import Alert, Phase, Transition
from kokino.alerts.rule import AlertRule


class Input(StrEnum):
    """What can happen to an alert."""

    #: A condition began to hold, and must go on for a while.
    BREACHED = "breached"
    #: A condition has held for as long as its rule asks.
    HELD = "held"
    #: It is over.
    CLEARED = "cleared"


#: Every change that there is; any other is a bug and raises.
TRANSITIONS = {
    (Phase.INACTIVE, Input.BREACHED): Phase.PENDING,
    (Phase.INACTIVE, Input.HELD): Phase.FIRING,
    (Phase.PENDING, Input.HELD): Phase.FIRING,
    (Phase.PENDING, Input.CLEARED): Phase.INACTIVE,
    (Phase.FIRING, Input.CLEARED): Phase.RESOLVED,
    (Phase.RESOLVED, Input.BREACHED): Phase.PENDING,
    (Phase.RESOLVED, Input.HELD): Phase.FIRING,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """What becomes of an alert at one look."""

    alert: Alert
    #: The change of state, if there is one.
    transition: Transition | None = None


def advance(phase: Phase, input: Input) -> Phase:
    """The next state. Raises `ValueError` for a change that is not in the table."""
    try:
        return TRANSITIONS[phase, input]
    except KeyError:
        raise ValueError(f"an alert that is {phase} cannot be {input}") from None


def react(rule: AlertRule, alert: Alert, verdict: Verdict, *, now: datetime, episode_id: str) -> Reaction:
    """What the verdict makes of the alert at `now`; `episode_id` names a new episode, if one begins.

    The same arguments give the same reaction, and reacting twice changes nothing more.
    """
    seen = _seen(alert, verdict, now)
    found = _input(rule, seen, verdict, now)
    if found is None:
        return Reaction(alert=seen)
    input, reason = found
    measured = replace(seen, measured={**verdict.measured.to_document(), "reason": reason})
    return _change(measured, input, reason, now=now, episode_id=episode_id)


def retire(alert: Alert, *, reason: str, now: datetime) -> Reaction:
    """The end of a pending or firing alert that no rule looks at any more."""
    told = replace(alert, measured={**alert.measured, "reason": reason})
    return _change(told, Input.CLEARED, reason, now=now, episode_id=alert.episode_id)


def _change(alert: Alert, input: Input, reason: str, *, now: datetime, episode_id: str | None) -> Reaction:
    phase = advance(alert.state, input)
    entered = _ENTER[phase](replace(alert, state=phase, since=now), now)
    if phase is Phase.FIRING:
        entered = replace(entered, episode_id=episode_id)
    transition = Transition(
        alert_id=alert.alert_id,
        episode_id=entered.episode_id if phase in {Phase.FIRING, Phase.RESOLVED} else None,
        at=now,
        from_state=alert.state,
        to_state=phase,
        reason=reason,
        measured=entered.measured,
    )
    return Reaction(alert=entered, transition=transition)


def _seen(alert: Alert, verdict: Verdict, now: datetime) -> Alert:
    """Keep the figures and the clock of recovery of an alert that somebody may be looking at."""
    if alert.state is Phase.PENDING:
        return replace(alert, measured=verdict.measured.to_document())
    if alert.state is Phase.FIRING:
        clear_at = (alert.clear_at or now) if verdict.clears else None
        reason = verdict.reason if verdict.fires else verdict.clear_reason
        return replace(
            alert, measured={**verdict.measured.to_document(), "reason": reason}, clear_at=clear_at
        )
    return alert


def _input(rule: AlertRule, alert: Alert, verdict: Verdict, now: datetime) -> tuple[Input, str] | None:
    match alert.state:
        case Phase.INACTIVE | Phase.RESOLVED if verdict.breaches:
            return (Input.BREACHED if rule.pending_for else Input.HELD), verdict.reason
        case Phase.PENDING if not verdict.breaches and not verdict.is_frozen:
            reason = verdict.clear_reason if verdict.fires else verdict.reason
            return Input.CLEARED, f"it did not last: {reason}"
        case Phase.PENDING if verdict.breaches and _has_lasted(rule, alert, now):
            return Input.HELD, verdict.reason
        case Phase.FIRING if alert.clear_at is not None and now >= alert.clear_at + rule.resolve.hold:
            return Input.CLEARED, verdict.clear_reason
    return None


def _has_lasted(rule: AlertRule, alert: Alert, now: datetime) -> bool:
    return alert.pending_at is not None and now >= alert.pending_at + rule.pending_for


def _enter_inactive(alert: Alert, _now: datetime) -> Alert:
    return replace(alert, pending_at=None)


def _enter_pending(alert: Alert, now: datetime) -> Alert:
    return replace(alert, pending_at=now)


def _enter_firing(alert: Alert, now: datetime) -> Alert:
    """A new episode: nobody has acknowledged it yet."""
    return replace(
        alert,
        firing_at=now,
        resolved_at=None,
        clear_at=None,
        acknowledged_at=None,
        acknowledged_by=None,
        acknowledgement_ends_at=None,
    )


def _enter_resolved(alert: Alert, now: datetime) -> Alert:
    """What was answered for is not counted again: the windows start anew."""
    return replace(alert, resolved_at=now, pending_at=None, clear_at=None, windows_from=now)


_ENTER = {
    Phase.INACTIVE: _enter_inactive,
    Phase.PENDING: _enter_pending,
    Phase.FIRING: _enter_firing,
    Phase.RESOLVED: _enter_resolved,
}
