"""``/api/alerts``: what fires, why, and who looks after it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import Connection

from kokino.alerts import store
from kokino.alerts.model import Alert, Phase
from kokino.api.services import Caller, Given, Services
from kokino.api.shapes import Body, Shape, Time

router = APIRouter(prefix="/api/alerts", tags=["alerts"])


class AcknowledgeBody(Body):
    """Who looks after it; the caller's own name where it is left out."""

    by: Annotated[str, Field(min_length=1, max_length=100)] | None = None


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
    measured: dict[str, Any]


class TransitionShape(Shape):
    """One change of an alert's state."""

    at: Time
    from_state: str
    to_state: str
    reason: str
    episode_id: str | None
    measured: dict[str, Any]


class AlertInFull(AlertShape):
    """An alert with the reasons for all that it did, the latest first."""

    why: list[TransitionShape]


@router.get("")
async def everything(given: Given, state: Phase | None = None) -> list[AlertShape]:
    """All alerts, those that fire first."""
    wanted = tuple(Phase) if state is None else (state,)
    found = await given.storage.read(lambda conn: store.listed(conn, wanted))
    return [_shape(alert, given) for alert in found]


@router.get("/{alert_id}")
async def one(alert_id: str, given: Given) -> AlertInFull:
    """One alert, and why it is in its state."""

    def read(conn: Connection) -> AlertInFull:
        shown = _shape(store.get(conn, alert_id), given)
        why = [TransitionShape.model_validate(change) for change in store.why(conn, alert_id)]
        return AlertInFull(**shown.model_dump(), why=why)

    return await given.storage.read(read)


@router.post("/{alert_id}/acknowledge")
async def acknowledge(
    alert_id: str, given: Given, caller: Caller, body: AcknowledgeBody | None = None
) -> AlertInFull:
    """Say that somebody looks after it. A P1's further tiers still go unless it is mitigated."""
    by = (body.by if body else None) or caller.subject
    await given.acknowledgements.acknowledge_alert(alert_id, by=by, now=given.clock.now())
    return await one(alert_id, given)


def _shape(alert: Alert, given: Services) -> AlertShape:
    rule = given.rules.get(alert.rule_id)
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
        measured=dict(alert.measured),
    )
