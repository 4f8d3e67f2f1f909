"""What one escalation needs now: everything that its next step depends on, read together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from kokino.alerts import store as alert_store
from kokino.alerts.model import Alert
from kokino.alerts.quiet import Quiet, quiet
from kokino.escalation import decide, store
from kokino.escalation.decide import STATES, Decision
from kokino.escalation.desk import Desk
from kokino.escalation.model import Acknowledgement, Escalation, EscalationState, Facts, Subject
from kokino.escalation.tellings import tellings
from kokino.incidents.model import IncidentState
from kokino.notify.model import Action, Delivery

#: Alerts of one rule that fire within this time of the first are told of by its messages: Alertmanager's
#: default for a group's interval.
JOIN_WITHIN = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """One alert of those that are told of together, as it stands."""

    subject: Subject
    #: Why nobody is told of it now; None where people are, and of one that fires no more.
    quiet: Quiet | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one escalation needs now, and how it stands afterwards."""

    subject: Subject
    #: Others that its messages tell of: that fire, and that nothing keeps quiet.
    also: tuple[Subject, ...]
    before: Escalation
    after: Escalation
    decision: Decision
    facts: Facts
    #: The probable cause, found since people were told and not passed on yet.
    news: str | None

    @property
    def is_due(self) -> bool:
        """True when there is anything to be done or written down."""
        return self.before != self.after or self.decision.tells or self.news is not None


def make(conn: Connection, desk: Desk, episode_id: str, now: datetime) -> Plan | None:
    """The plan for an episode's escalation at `now`; None where it has none."""
    escalation = store.get(conn, episode_id)
    if escalation is None:
        return None
    group = _group(conn, desk, escalation, now)
    own, firing = group[0], [one for one in group if one.subject.is_firing]
    # What people say and do is about those that still fire, be they the first or such as joined it.
    present = _least_settled(conn, desk, firing) if firing else own
    incident = desk.incident(conn, present.subject)
    deliveries = desk.deliveries(conn, own.subject)
    facts = Facts(
        is_firing=bool(firing),
        incident_state=None if incident is None else incident.state,
        acknowledgement=_acknowledgement(firing),
        quiet=_quiet(firing, now),
        tellings=tellings(deliveries, desk.routing),
    )
    policy = desk.policy(conn, own.subject)
    decision = decide.decide(policy, escalation, facts, now)
    joins = _joins(conn, escalation, decision, own.subject, now)
    if joins is not None:
        decision = Decision(action=decide.Action.JOIN, reason=_joined(joins))
    begun = decide.begun_at(policy, escalation, decision, now)
    after = _after(escalation, decision, None if incident is None else incident.number, begun)
    return Plan(
        subject=own.subject,
        also=tuple(one.subject for one in firing if one is not own and one.quiet is None),
        before=escalation,
        after=after if joins is None else replace(after, joined_to=joins.episode_id),
        decision=decision,
        facts=facts,
        news=_news(conn, desk, own.subject, deliveries) if firing and facts.quiet is None else None,
    )


def begin(conn: Connection, desk: Desk, alert: Alert, now: datetime) -> Escalation:
    """How the escalation of a firing alert's episode begins; it may join another one."""
    subject = Subject.of(alert)
    keeps_quiet = quiet(conn, alert, desk.rules, now=now)
    policy = desk.policy(conn, subject).id
    first = None if keeps_quiet else _first_of(conn, policy, subject, now)
    state, reason = _beginning(keeps_quiet, first)
    incident = desk.incident(conn, subject)
    return Escalation(
        episode_id=str(alert.episode_id),
        alert_id=alert.alert_id,
        policy=policy,
        incident=None if incident is None else incident.number,
        state=state,
        tier=0 if state is EscalationState.ACTIVE else -1,
        round=0,
        due_at=now if keeps_quiet is None else keeps_quiet.ends_at,
        started_at=now,
        reason=reason,
        joined_to=None if first is None else first.episode_id,
    )


def _first_of(conn: Connection, policy: str, subject: Subject, now: datetime) -> Escalation | None:
    """The escalation of the same rule that this alert joins, if one began just before."""
    return store.to_join(conn, policy, since=now - JOIN_WITHIN, but_not=subject.alert_id)


def _beginning(keeps_quiet: Quiet | None, first: Escalation | None) -> tuple[EscalationState, str]:
    if keeps_quiet is not None:
        return EscalationState.QUIET, keeps_quiet.reason
    if first is not None:
        return EscalationState.JOINED, _joined(first)
    return EscalationState.ACTIVE, "the alert fired"


def _joined(first: Escalation) -> str:
    return f"told of together with alert {first.alert_id}"


def _joins(
    conn: Connection, escalation: Escalation, decision: Decision, subject: Subject, now: datetime
) -> Escalation | None:
    """Of many that were quiet together and are told of now, the first tells of the others too."""
    is_first_word = escalation.tier < 0 and decision.action is decide.Action.ADVANCE
    return _first_of(conn, escalation.policy, subject, now) if is_first_word else None


def _least_settled(conn: Connection, desk: Desk, firing: Sequence[_Member]) -> _Member:
    """One whose incident is open, if there is one: what was repaired for another does not mend it."""

    def is_open(member: _Member) -> bool:
        incident = desk.incident(conn, member.subject)
        return incident is None or incident.state is IncidentState.OPEN

    return next((member for member in firing if is_open(member)), firing[0])


def _acknowledgement(firing: Sequence[_Member]) -> Acknowledgement | None:
    """That which ends first, once somebody looks after every one that fires."""
    given = [member.subject.acknowledgement for member in firing]
    if not given or None in given:
        return None
    return min(
        (one for one in given if one is not None),
        key=lambda one: (one.ends_at is None, one.ends_at or one.at),
    )


def _quiet(firing: Sequence[_Member], now: datetime) -> Quiet | None:
    """What keeps all that fire quiet, with the first end of it; None where one of them is not."""
    found = [one.quiet for one in firing]
    if not found or None in found:
        return None
    return min(
        (one for one in found if one is not None),
        key=lambda one: (one.ends_at is None, one.ends_at or now),
    )


def _news(conn: Connection, desk: Desk, subject: Subject, deliveries: list[Delivery]) -> str | None:
    """The probable cause, unless some message has told it, or an update has told another one."""
    cause = desk.probable_cause(conn, subject)
    is_told = any(delivery.message.probable_cause == cause for delivery in deliveries)
    updates = (delivery.message for delivery in deliveries if delivery.action is Action.UPDATE)
    was_news = any(message.probable_cause is not None for message in updates)
    return None if is_told or was_news or not desk.can_update(deliveries) else cause


def _group(conn: Connection, desk: Desk, escalation: Escalation, now: datetime) -> list[_Member]:
    """The escalation's own alert, and those that joined it."""
    joined = store.joined(conn, escalation.episode_id)
    return [_member(conn, desk, one, now) for one in (escalation, *joined)]


def _member(conn: Connection, desk: Desk, escalation: Escalation, now: datetime) -> _Member:
    alert = alert_store.get(conn, escalation.alert_id)
    row = Subject.of(alert)
    # The alert may fire anew by now; this escalation is about the episode before.
    is_firing = row.is_firing and row.episode_id == escalation.episode_id
    return _Member(
        subject=replace(row, episode_id=escalation.episode_id, is_firing=is_firing),
        quiet=quiet(conn, alert, desk.rules, now=now) if is_firing else None,
    )


def told_again(escalation: Escalation, decision: Decision, *, up_to: int) -> Escalation:
    """After a hand-over: its state is the next look's to decide."""
    return replace(
        escalation,
        tier=escalation.tier + (decision.action is decide.Action.ADVANCE),
        round=escalation.round + (decision.action is decide.Action.REMIND),
        reason=decision.reason if decision.tells else escalation.reason,
        handed_over_up_to=up_to,
    )


def _after(escalation: Escalation, decision: Decision, incident: int | None, begun: datetime) -> Escalation:
    is_advance = decision.action is decide.Action.ADVANCE
    is_reminder = decision.action is decide.Action.REMIND
    return replace(
        escalation,
        incident=incident,
        state=STATES[decision.action],
        tier=escalation.tier + is_advance,
        round=escalation.round + is_reminder,
        due_at=decision.due_at,
        started_at=begun,
        reason=decision.reason,
    )
