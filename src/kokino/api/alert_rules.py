"""``/api/alert-rules``: what is watched, whether or not it ever fired."""

from __future__ import annotations

from sqlalchemy import Connection

from kokino.alerts import store
from kokino.alerts.model import Phase
from kokino.alerts.rule import AlertRule
from kokino.api.routing import router_of
from kokino.api.services import Given
from kokino.api.shapes import Shape

router = router_of("alerts", prefix="/api/alert-rules")


class AlertRuleShape(Shape):
    """A rule that is watched."""

    rule_id: str
    title: str
    severity: str
    owner: str
    channel: str | None
    playbook: str | None
    #: The service level whose good and bad ones it counts; null for one that looks at events.
    slo: str | None
    #: It has one alert for each of these; with neither these nor `received` it has one.
    by: list[str]
    #: It has one for each alert of others that fits.
    received: bool
    #: Ids of its conditions, in the order in which they are looked at.
    conditions: list[str]
    #: The types of event that make it look.
    listens_to: list[str]
    #: How many of its alerts are in each state; one that never fired may be in none.
    alerts: dict[str, int]


@router.get("")
async def everything(given: Given) -> list[AlertRuleShape]:
    """All rules, by id."""

    def read(conn: Connection) -> list[AlertRuleShape]:
        states = store.states_by_rule(conn)
        return [_shape(rule, states.get(rule.id, {})) for _, rule in sorted(given.rules.items())]

    return await given.storage.read(read)


def _shape(rule: AlertRule, states: dict[Phase, int]) -> AlertRuleShape:
    return AlertRuleShape(
        rule_id=rule.id,
        title=rule.title,
        severity=rule.severity.value,
        owner=rule.owner,
        channel=rule.channel,
        playbook=rule.playbook,
        slo=rule.slo,
        by=[each.value for each in rule.by],
        received=rule.received is not None,
        conditions=[condition.id for condition in rule.conditions],
        listens_to=sorted(rule.listens_to()),
        alerts={phase.value: count for phase, count in sorted(states.items())},
    )
