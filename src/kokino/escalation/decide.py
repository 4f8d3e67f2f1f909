"""The next step of an escalation. Nothing here reads a clock, a database or a network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from kokino.escalation.model import Escalation, EscalationState, Facts, Telling
from kokino.escalation.policy import Policy
from kokino.incidents.model import IncidentState


class Action(StrEnum):
    """What is to be done."""

    #: Nothing yet.
    WAIT = "wait"
    #: Keep everybody back: it is silenced or inhibited.
    KEEP_QUIET = "keep_quiet"
    #: Leave it to the messages of the one that it has joined.
    JOIN = "join"
    #: Keep further tiers back: it is acknowledged.
    HOLD = "hold"
    #: Tell the next tier.
    ADVANCE = "advance"
    #: Tell the tier that was told last once more, in a new round.
    REMIND = "remind"
    #: Tell nobody more: it is mitigated or over.
    STOP = "stop"
    #: The alert is over: take back every page.
    FINISH = "finish"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to be done, and why."""

    action: Action
    reason: str
    #: When to decide again if nothing happens before; None when only an event can change it.
    due_at: datetime | None = None

    @property
    def tells(self) -> bool:
        """True when somebody hears of it."""
        return self.action in {Action.ADVANCE, Action.REMIND}


#: The state that each action leaves behind; waiting changes nothing but the time.
STATES = {
    Action.WAIT: EscalationState.ACTIVE,
    Action.KEEP_QUIET: EscalationState.QUIET,
    Action.JOIN: EscalationState.JOINED,
    Action.HOLD: EscalationState.HELD,
    Action.ADVANCE: EscalationState.ACTIVE,
    Action.REMIND: EscalationState.ACTIVE,
    Action.STOP: EscalationState.STOPPED,
    Action.FINISH: EscalationState.FINISHED,
}


def decide(policy: Policy, escalation: Escalation, facts: Facts, now: datetime) -> Decision:
    """What `escalation` needs at `now`."""
    if not facts.is_firing:
        return Decision(action=Action.FINISH, reason="the alert is resolved")
    if escalation.joined_to is not None:
        return Decision(action=Action.JOIN, reason=escalation.reason)
    if facts.incident_state not in {None, IncidentState.OPEN}:
        return Decision(action=Action.STOP, reason=f"the incident is {facts.incident_state}")
    if facts.quiet is not None:
        return Decision(action=Action.KEEP_QUIET, reason=facts.quiet.reason, due_at=facts.quiet.ends_at)
    if escalation.state is EscalationState.STOPPED:
        action = Action.ADVANCE if escalation.tier < 0 else Action.REMIND
        return Decision(action=action, reason="the incident was opened again")
    if (held := _held(policy, facts, now)) is not None:
        return held
    if _was_quiet(escalation):
        return _after_quiet(policy, escalation, facts, now)
    return _due(policy, escalation, facts, now) or _wait(policy, escalation, facts, now)


def begun_at(policy: Policy, escalation: Escalation, decision: Decision, now: datetime) -> datetime:
    """From when the delays of the tiers count: anew once nothing keeps the alert quiet any more.

    Whoever is told then has as much time as at any other time before the next tier hears of it.
    """
    if not _was_quiet(escalation) or not (decision.tells or decision.action is Action.WAIT):
        return escalation.started_at
    return _anew(policy, escalation, now)


def on_hand_over(
    policy: Policy, escalation: Escalation, facts: Facts, reason: str, now: datetime
) -> Decision:
    """What follows when a playbook can do no more: somebody new hears of it, or those who know it do."""
    is_open = facts.is_firing and facts.incident_state in {None, IncidentState.OPEN}
    if not is_open or facts.quiet is not None or _held(policy, facts, now) is not None:
        return Decision(action=Action.WAIT, reason=reason)
    action = Action.ADVANCE if _next_tier(policy, escalation) else Action.REMIND
    return Decision(action=action, reason=reason)


def _was_quiet(escalation: Escalation) -> bool:
    return escalation.state is EscalationState.QUIET or escalation.tier < 0


def _anew(policy: Policy, escalation: Escalation, now: datetime) -> datetime:
    """The beginning of a chain whose present tier is due just now."""
    return now - policy.tiers[max(escalation.tier, 0)].after


def _after_quiet(policy: Policy, escalation: Escalation, facts: Facts, now: datetime) -> Decision:
    """Whoever was told hears that it still fires, unless somebody has said that they look after it."""
    reason = "it fires, and nothing keeps it quiet any more"
    if escalation.tier < 0:
        return Decision(action=Action.ADVANCE, reason=reason)
    acknowledgement = facts.acknowledgement
    if acknowledgement is None or not acknowledgement.holds_at(now):
        return Decision(action=Action.REMIND, reason=reason)
    begun = replace(escalation, started_at=_anew(policy, escalation, now))
    known = f"{reason}; acknowledged by {acknowledgement.by}"
    return replace(_wait(policy, begun, facts, now), reason=known)


def _held(policy: Policy, facts: Facts, now: datetime) -> Decision | None:
    acknowledgement = facts.acknowledgement
    if acknowledgement is None or not policy.handling.acknowledgement_holds:
        return None
    if not acknowledgement.holds_at(now):
        return None
    reason = f"acknowledged by {acknowledgement.by}"
    return Decision(action=Action.HOLD, reason=reason, due_at=acknowledgement.ends_at)


def _due(policy: Policy, escalation: Escalation, facts: Facts, now: datetime) -> Decision | None:
    """The first of the things that may be due, in the order of their weight."""
    if _has_expired(facts, now):
        return Decision(action=Action.REMIND, reason="the acknowledgement has expired")
    if _is_past(_skip_at(policy, escalation, facts), now) and facts.tellings[-1].is_network_up:
        seconds = int((policy.handling.skip_after or now - now).total_seconds())
        return Decision(action=Action.ADVANCE, reason=f"no receiver accepted the page within {seconds} s")
    if _is_past(_next_tier_at(policy, escalation, facts), now):
        after = policy.tiers[escalation.tier + 1].after
        minutes = int(after.total_seconds() // 60)
        return Decision(action=Action.ADVANCE, reason=f"not resolved within {minutes} minutes")
    if _is_past(_reminder_at(policy, escalation, facts, now), now):
        return Decision(action=Action.REMIND, reason="every tier was told and nobody has acknowledged")
    return None


def _wait(policy: Policy, escalation: Escalation, facts: Facts, now: datetime) -> Decision:
    acknowledgement = facts.acknowledgement
    edges = (
        acknowledgement.ends_at if acknowledgement else None,
        _skip_at(policy, escalation, facts),
        _next_tier_at(policy, escalation, facts),
        _reminder_at(policy, escalation, facts, now),
    )
    ahead = [edge for edge in edges if edge is not None and edge > now]
    reason = "the next tier is not due yet" if _next_tier(policy, escalation) else "every tier was told"
    return Decision(action=Action.WAIT, reason=reason, due_at=min(ahead, default=None))


def _has_expired(facts: Facts, now: datetime) -> bool:
    """True from the end of an acknowledgement until somebody has been told after it."""
    acknowledgement = facts.acknowledgement
    if acknowledgement is None or acknowledgement.ends_at is None or acknowledgement.holds_at(now):
        return False
    last = _last(facts)
    return last is None or last.at < acknowledgement.ends_at


def _next_tier_at(policy: Policy, escalation: Escalation, facts: Facts) -> datetime | None:
    """By the clock of the first page; where an acknowledgement held that clock, by the last page's."""
    if not _next_tier(policy, escalation):
        return None
    this, following = policy.tiers[escalation.tier : escalation.tier + 2]
    due_at = escalation.started_at + following.after
    last = _last(facts)
    if policy.handling.acknowledgement_holds and last is not None:
        due_at = max(due_at, last.at + (following.after - this.after))
    return due_at


def _skip_at(policy: Policy, escalation: Escalation, facts: Facts) -> datetime | None:
    """When to stop waiting for a receiver to accept the last page; None when it did, or this was used up."""
    last = _last(facts)
    if policy.handling.skip_after is None or last is None or not _next_tier(policy, escalation):
        return None
    if not last.is_page or last.is_accepted or _has_skipped(policy, escalation, facts):
        return None
    return last.at + policy.handling.skip_after


def _has_skipped(policy: Policy, escalation: Escalation, facts: Facts) -> bool:
    """True when some tier was told before its time."""
    return any(
        telling.at < escalation.started_at + policy.tiers[telling.tier].after
        for telling in facts.tellings
        if telling.tier < len(policy.tiers)
    )


def _reminder_at(policy: Policy, escalation: Escalation, facts: Facts, now: datetime) -> datetime | None:
    every, last, acknowledgement = policy.handling.remind_every, _last(facts), facts.acknowledgement
    if every is None or last is None or _next_tier(policy, escalation):
        return None
    if acknowledgement is not None and acknowledgement.holds_at(now):
        return None
    return last.at + every


def _next_tier(policy: Policy, escalation: Escalation) -> bool:
    return escalation.tier + 1 < len(policy.tiers)


def _last(facts: Facts) -> Telling | None:
    return facts.tellings[-1] if facts.tellings else None


def _is_past(edge: datetime | None, now: datetime) -> bool:
    return edge is not None and edge <= now
