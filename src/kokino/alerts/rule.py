"""What an alert rule is. These models are also the shape of a rule's file."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from kokino.alerts.conditions import Condition, Id, Received, Resolve, Share, beginnings, types_of
from kokino.alerts.model import Phase
from kokino.config import Length, Settings, Whole
from kokino.ids import LABEL_NAME
from kokino.slo.model import SloId
from kokino.telemetry.model import BAD_ENDS, END_TYPES, GOOD_ENDS, JUDGED, EventType, Scope


class NoData(StrEnum):
    """What it means when nothing ran."""

    #: The state stays as it is.
    FREEZE = "freeze"
    #: Silence is a breach.
    ALERT = "alert"
    #: Silence is health: the alert resolves.
    OK = "ok"


class By(StrEnum):
    """What tells the alerts of one rule apart: one alert for each."""

    AGENT = "agent"
    CLI_TYPE = "cli_type"


class Severity(StrEnum):
    """Who is disturbed: DESIGN.md gives P1 a page, P2 a message and a review, P3 a message."""

    P1 = "P1"
    P2 = "P2"
    P3 = "P3"
    #: Nobody: it is there to be seen by a machine.
    NONE = "none"


def _is_label_name(name: str) -> str:
    if not LABEL_NAME.fullmatch(name) or name.startswith("__"):
        raise ValueError(
            "is no label of Prometheus: letters, digits and '_', no digit first and no two '_' either"
        )
    return name


LabelName = Annotated[str, AfterValidator(_is_label_name)]


class Gate(Settings):
    """How improbable failures must be under the SLO before they page."""

    kind: Literal["binomial"]
    #: The share of executions that may fail under the SLO.
    p: Share


class Inhibits(Settings):
    """While this rule's alert fires, another's tells nobody: it is a symptom of the same trouble."""

    rule: Id
    #: Only where these labels are the same in both; none: always.
    equal: tuple[str, ...] = ()
    #: For so long after this rule's alert is resolved, for what began to fire before that.
    linger: Length = timedelta(minutes=15)


#: Whose executions a rule's test is about where it names nobody.
AGENT, CLI_TYPE = "agent-1", "cli-1"


class Ends(Settings):
    """Executions that end in a rule's test."""

    at: Length
    outcome: Literal["good", "bad"]
    count: Whole = Field(1, ge=1, le=100_000)
    every: Length = timedelta(seconds=1)
    label: Literal["probe"] | None = None
    took: Length | None = None
    memory_mb: Whole | None = Field(None, ge=0)
    agent: str = AGENT
    cli_type: str = CLI_TYPE


class Happens(Settings):
    """Other events in a rule's test."""

    at: Length
    event: EventType
    count: Whole = Field(1, ge=1, le=100_000)
    every: Length = timedelta(seconds=1)
    agent: str = ""
    cli_type: str = ""


class Runs(Settings):
    """An execution that starts in a rule's test, and goes on until it ends."""

    starts: Length
    ends: Length | None = None
    agent: str = AGENT
    cli_type: str = CLI_TYPE


class Told(Settings):
    """What an Alertmanager says of an alert of its own in a rule's test."""

    at: Length
    received: Literal["firing", "resolved"]
    labels: Annotated[dict[str, str], Field(min_length=1)]


def _shape_of(value: Any) -> str | None:
    """Which of them an entry is, by the key that only it has: its own faults are told, not all three's."""
    keys = value if isinstance(value, Mapping) else getattr(type(value), "model_fields", ())
    return next((tag for key, tag in _OWN_KEYS.items() if key in keys), "ends")


_OWN_KEYS = {"event": "happens", "starts": "runs", "outcome": "ends", "received": "told"}
Happening = Annotated[
    Annotated[Ends, Tag("ends")]
    | Annotated[Happens, Tag("happens")]
    | Annotated[Runs, Tag("runs")]
    | Annotated[Told, Tag("told")],
    Discriminator(_shape_of),
]


class Expectation(Settings):
    """What the alert must be at an instant of a rule's test."""

    at: Length
    state: Phase
    #: The condition that made it fire.
    condition: Id | None = None
    #: All conditions that hold now, in the rule's order; the alert must be firing.
    holding: tuple[Id, ...] | None = None
    #: Which of the rule's alerts is meant, of a rule that has more than one.
    labels: dict[str, str] = Field(default_factory=dict)


class RuleTest(Settings):
    """What happens in virtual time, and the states that it must lead to."""

    name: str
    events: tuple[Happening, ...] = ()
    expect: tuple[Expectation, ...] = Field(min_length=1)


class AlertRule(Settings):
    """A condition that somebody must hear of, with who, where and what to do."""

    api_version: Literal["kokino/v1"] = Field(alias="apiVersion")
    kind: Literal["AlertRule"]
    id: Id
    title: str
    severity: Severity
    owner: str
    channel: str | None = None
    #: Id of the playbook to follow.
    playbook: Id | None = None
    #: The service level whose good and bad ones its conditions count.
    slo: SloId | None = None
    #: What tells this alert from those of other rules.
    labels: dict[LabelName, str] = Field(default_factory=dict)
    #: One alert for each of these; none: one alert.
    by: Annotated[tuple[By, ...], Field(max_length=2)] = ()
    gate: Gate | Literal["none"] = "none"
    #: The alert fires when one of them holds; the first that does is named.
    conditions: tuple[Condition, ...] = Field(min_length=1)
    #: How long a condition must hold before the alert fires.
    pending_for: Length = timedelta(0)
    resolve: Resolve
    no_data: NoData = NoData.FREEZE
    #: Alerts that tell nobody while this one fires.
    inhibits: tuple[Inhibits, ...] = ()
    tests: tuple[RuleTest, ...] = ()

    @property
    def p(self) -> float | None:
        """The gate's failure share; None in the ungated form."""
        return self.gate.p if isinstance(self.gate, Gate) else None

    @property
    def received(self) -> Received | None:
        """Its condition, where it is about alerts of others: each of them has its own here."""
        return next((part for part in self.conditions if isinstance(part, Received)), None)

    def listens_to(self) -> frozenset[str]:
        """The types of event that can change what it says; all else is a matter of time."""
        named = frozenset[str]().union(*(types_of(condition) for condition in self.conditions))
        if self.slo is None:
            return named
        # A slow execution is known by its start, before its end; one that is cancelled runs no more.
        starts = _RUNS if self.slo is SloId.LATENCY else frozenset[str]()
        return named | COUNTED[self.slo] | starts

    def begun_by(self) -> frozenset[str]:
        """The events that can make an alert of it; none, for a rule that counts a service level."""
        return frozenset[str]().union(*(beginnings(condition) for condition in self.conditions))


_RUNS = frozenset[str]({EventType.EXECUTION_STARTED, *END_TYPES.values()})
#: The events that each service level counts.
COUNTED: dict[SloId, frozenset[str]] = {
    SloId.AVAILABILITY: GOOD_ENDS | BAD_ENDS,
    SloId.LATENCY: GOOD_ENDS | BAD_ENDS,
    SloId.RESOURCES: frozenset(END_TYPES.values()),
    SloId.CORRECTNESS: JUDGED[Scope.SHADOW],
    SloId.INTEGRITY: JUDGED[Scope.CHECKS],
}
