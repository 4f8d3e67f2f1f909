"""What an alert rule is. These models are also the shape of a rule's file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from kokino.alerts.model import Phase
from kokino.config import Length, Settings
from kokino.ids import ID_PATTERN
from kokino.slo.model import SloId

Id = Annotated[str, Field(pattern=f"^{ID_PATTERN}$")]
Share = Annotated[float, Field(gt=0, lt=1)]
#: The chance that a gated condition may be wrong when the SLO is kept.
Alpha = Annotated[float, Field(gt=0, lt=1)]


class NoData(StrEnum):
    """What it means when nothing ran."""

    #: The state stays as it is.
    FREEZE = "freeze"
    #: Silence is a breach.
    ALERT = "alert"
    #: Silence is health: the alert resolves.
    OK = "ok"


class Gate(Settings):
    """How improbable failures must be under the SLO before they page."""

    kind: Literal["binomial"]
    #: The share of executions that may fail under the SLO.
    p: Share


class Rate(Settings):
    """Good over valid executions is under a share, over one window."""

    kind: Literal["rate"]
    id: Id
    below: Share
    window: Length
    alpha: Alpha | None = None


class Budget(Settings):
    """More than a share of the whole error budget went within one window."""

    kind: Literal["budget"]
    id: Id
    share: Share
    window: Length
    alpha: Alpha | None = None


class Burn(Settings):
    """The error budget burns too fast over a long window, and still does over a short one."""

    kind: Literal["burn"]
    id: Id
    #: How many times faster than allowed.
    rate: float = Field(gt=0)
    long: Length
    short: Length
    alpha: Alpha | None = None


Condition = Annotated[Rate | Budget | Burn, Field(discriminator="kind")]


class Resolve(Settings):
    """When a firing alert is over. The windows of the conditions then start anew."""

    at_least: Share
    window: Length
    #: Recovery is proved by successes, never by the absence of failures. Probes may prove it where fewer
    #: executions than this ran.
    min_successes: int = Field(ge=1)
    #: How long the condition must hold without a break.
    hold: Length = timedelta(0)


class Ends(Settings):
    """Executions that end in a rule's test."""

    at: Length
    outcome: Literal["good", "bad"]
    count: int = Field(1, ge=1, le=100_000)
    every: Length = timedelta(seconds=1)
    label: Literal["probe"] | None = None


class Expectation(Settings):
    """What the alert must be at an instant of a rule's test."""

    at: Length
    state: Phase
    #: The condition that made it fire.
    condition: Id | None = None


class RuleTest(Settings):
    """Executions in virtual time, and the states that they must lead to."""

    name: str
    events: tuple[Ends, ...] = ()
    expect: tuple[Expectation, ...] = Field(min_length=1)


class AlertRule(Settings):
    """A condition that somebody must hear of, with who, where and what to do."""

    api_version: Literal["kokino/v1"] = Field(alias="apiVersion")
    kind: Literal["AlertRule"]
    id: Id
    title: str
    severity: Literal["P1", "P2", "P3"]
    owner: str
    channel: str
    #: Id of the playbook to follow.
    playbook: Id
    #: The service level whose executions it counts.
    slo: Literal[SloId.AVAILABILITY]
    #: What tells this alert from others of the same rule.
    labels: dict[str, str] = Field(default_factory=dict)
    gate: Gate | Literal["none"]
    #: The alert fires when one of them holds; the first that does is named.
    conditions: tuple[Condition, ...] = Field(min_length=1)
    #: How long a condition must hold before the alert fires.
    pending_for: Length = timedelta(0)
    resolve: Resolve
    no_data: NoData
    tests: tuple[RuleTest, ...] = ()

    @property
    def p(self) -> float | None:
        """The gate's failure share; None in the ungated form."""
        return self.gate.p if isinstance(self.gate, Gate) else None

    def windows(self) -> Iterator[timedelta]:
        """Every window that the conditions look at."""
        for condition in self.conditions:
            yield long_window(condition)
            if isinstance(condition, Burn):
                yield condition.short


def long_window(condition: Rate | Budget | Burn) -> timedelta:
    """The window that a condition's evidence is weighed over."""
    return condition.long if isinstance(condition, Burn) else condition.window
