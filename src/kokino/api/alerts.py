"""``/api/alerts``: what fires, why, and who looks after it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import Field
from sqlalchemy import Connection

from kokino.alerts import store
from kokino.alerts.look import labels_of, looks_at
from kokino.alerts.model import Alert, Phase
from kokino.alerts.quiet import quiet
from kokino.api.routing import router_of
from kokino.api.services import Caller, Given, Services
from kokino.api.shapes import Body, Shape, Time
from kokino.errors import NotFound
from kokino.escalation import store as escalation_store

router = router_of("alerts", prefix="/api/alerts")


class AcknowledgeBody(Body):
    """Who looks after it; the caller's own name where it is left out."""

    by: Annotated[str, Field(min_length=1, max_length=100)] | None = None


class QuietShape(Shape):
    """Why an alert tells nobody."""

    #: ``silenced`` or ``inhibited``.
    why: str
    reason: str
    #: When it ends by itself; null while only another alert's end can end it.
    ends_at: Time | None
    #: The silence, or the alert that inhibits it.
    by: str


class AlertShape(Shape):
    """One instance of an alert rule."""

    alert_id: str
    rule_id: str
    #: The rule's; its id where the rule is gone, of which then nothing else is known.
    title: str
    severity: str | None
    owner: str | None
    channel: str | None
    playbook: str | None
    labels: dict[str, str]
    fingerprint: str
    state: str
    since: Time
    episode_id: str | None
    firing_at: Time | None
    resolved_at: Time | None
    acknowledged_at: Time | None
    acknowledged_by: str | None
    acknowledgement_ends_at: Time | None
    #: Null where people hear of it.
    quiet: QuietShape | None
    measured: dict[str, Any]


class TransitionShape(Shape):
    """One change of an alert's state."""

    at: Time
    from_state: str
    to_state: str
    reason: str
    episode_id: str | None
    measured: dict[str, Any]


class PresentShape(Shape):
    """What its rule would say if it were looked at now."""

    fires: bool
    #: Why it fires, or why it does not.
    reason: str
    clears: bool
    #: Why it is over, or why it is not.
    clear_reason: str
    #: When time alone can change that; null while only an event can.
    due_at: Time | None


class EscalationShape(Shape):
    """How far people have been told of the latest episode."""

    #: ``active``, ``quiet``, ``joined``, ``held``, ``stopped`` or ``finished``.
    state: str
    #: Number of the tier that was told last, from 0; null while nobody was.
    tier: int | None
    reason: str
    #: When it is looked at again.
    due_at: Time | None


class AlertInFull(AlertShape):
    """An alert with the reasons for all that it did, the oldest first."""

    why: list[TransitionShape]
    #: Null where its rule is gone.
    present: PresentShape | None
    #: Null where nobody has to be told.
    escalation: EscalationShape | None


@router.get("")
async def everything(
    given: Given,
    state: Phase | None = None,
    rule: Annotated[str, Query(max_length=160)] | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    cursor: Annotated[str, Query(max_length=160)] | None = None,
) -> list[AlertShape]:
    """Alerts, the latest change first; ``cursor`` is the last alert's id of an earlier answer."""
    wanted = tuple(Phase) if state is None else (state,)

    def read(conn: Connection) -> list[AlertShape]:
        found = store.page(conn, states=wanted, rule_id=rule, limit=limit, after=cursor)
        return [_shape(conn, alert, given) for alert in found]

    return await given.storage.read(read)


@router.get("/{alert_id}")
async def one(alert_id: str, given: Given) -> AlertInFull:
    """One alert, and why it is in its state."""

    if alert_id in given.rules:
        raise NotFound(f"{alert_id!r} is a rule: GET /api/alerts?rule={alert_id} lists its alerts")

    def read(conn: Connection) -> AlertInFull:
        alert = store.get(conn, alert_id)
        why = [TransitionShape.model_validate(change) for change in store.why(conn, alert_id)]
        return AlertInFull(
            **_shape(conn, alert, given).model_dump(),
            why=why,
            present=_present(conn, alert, given),
            escalation=_escalation(conn, alert),
        )

    return await given.storage.read(read)


@router.post("/{alert_id}/acknowledge")
async def acknowledge(
    alert_id: str, given: Given, caller: Caller, body: AcknowledgeBody | None = None
) -> AlertInFull:
    """Say that somebody looks after it. A P1's further tiers still go unless it is mitigated."""
    by = (body.by if body else None) or caller.subject
    await given.acknowledgements.acknowledge_alert(alert_id, by=by, now=given.clock.now())
    return await one(alert_id, given)


def _shape(conn: Connection, alert: Alert, given: Services) -> AlertShape:
    rule = given.rules.get(alert.rule_id)
    is_firing = alert.state is Phase.FIRING
    keeps_quiet = quiet(conn, alert, given.rules, now=given.clock.now()) if is_firing else None
    return AlertShape(
        alert_id=alert.alert_id,
        rule_id=alert.rule_id,
        title=alert.rule_id if rule is None else rule.title,
        severity=None if rule is None else rule.severity,
        owner=None if rule is None else rule.owner,
        channel=None if rule is None else rule.channel,
        playbook=None if rule is None else rule.playbook,
        labels=dict(alert.labels),
        fingerprint=alert.fingerprint,
        state=alert.state.value,
        since=alert.since,
        episode_id=alert.episode_id,
        firing_at=alert.firing_at,
        resolved_at=alert.resolved_at,
        acknowledged_at=alert.acknowledged_at,
        acknowledged_by=alert.acknowledged_by,
        acknowledgement_ends_at=alert.acknowledgement_ends_at,
        quiet=None if keeps_quiet is None else QuietShape.model_validate(keeps_quiet),
        measured=dict(alert.measured),
    )


def _present(conn: Connection, alert: Alert, given: Services) -> PresentShape | None:
    rule = given.alert_rules.rule(alert.rule_id)
    if rule is None or not looks_at(rule, alert):
        return None
    found = given.alert_rules.examine(conn, rule, labels_of(rule, alert), given.clock.now())
    verdict = found.verdict
    return PresentShape(
        fires=verdict.fires,
        reason=verdict.reason,
        clears=verdict.clears,
        clear_reason=verdict.clear_reason,
        due_at=found.due_at,
    )


def _escalation(conn: Connection, alert: Alert) -> EscalationShape | None:
    found = None if alert.episode_id is None else escalation_store.get(conn, alert.episode_id)
    if found is None:
        return None
    return EscalationShape(
        state=found.state.value,
        tier=None if found.tier < 0 else found.tier,
        reason=found.reason,
        due_at=found.due_at,
    )
