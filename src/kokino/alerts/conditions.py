"""What a rule may look at: these models are the shape of ``conditions`` and ``resolve`` in its file.

Executions and their service levels: `Rate`, `Budget`, `Burn`, `Mean`. Events: `Count`, `Level`, `Timer`.
Alerts of others: `Received`. And `Always`, for the alert that proves that alerts get through.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from kokino.alerts.matcher import Matcher
from kokino.config import Length, Settings, Whole
from kokino.ids import ID_PATTERN
from kokino.telemetry.model import EventType


def _longer_than_nothing(length: timedelta) -> timedelta:
    if length <= timedelta(0):
        raise ValueError("must be longer than 0")
    return length


Id = Annotated[str, Field(pattern=f"^{ID_PATTERN}$")]
Share = Annotated[float, Field(gt=0, lt=1)]
#: The chance that a gated condition may be wrong when the SLO is kept.
Alpha = Annotated[float, Field(gt=0, lt=1)]
Window = Annotated[Length, AfterValidator(_longer_than_nothing)]
Types = Annotated[tuple[EventType, ...], Field(min_length=1)]
#: Repeats are noted hourly.
LEAST_EXPIRY = timedelta(hours=2)


class Rate(Settings):
    """Good over valid ones is under a share, over one window."""

    kind: Literal["rate"]
    id: Id
    below: Share
    window: Window
    #: Of latency: one that took at most this long is good; default: the objective's threshold.
    within: Window | None = None
    #: With fewer bad ones it does not hold.
    min_bad: Whole = Field(1, ge=1)
    alpha: Alpha | None = None


class Budget(Settings):
    """More than a share of the whole error budget went within one window."""

    kind: Literal["budget"]
    id: Id
    share: Share
    window: Window
    alpha: Alpha | None = None


class Burn(Settings):
    """The error budget burns too fast over a long window, and still does over a short one."""

    kind: Literal["burn"]
    id: Id
    #: How many times faster than allowed.
    rate: float = Field(gt=0)
    long: Window
    short: Window
    alpha: Alpha | None = None


class Mean(Settings):
    """The mean of what executions took is above a limit, over one window."""

    kind: Literal["mean"]
    id: Id
    #: Peak memory of the process tree, in MiB.
    of: Literal["memory_mb"]
    above: float = Field(gt=0)
    window: Window
    #: Of fewer executions no mean is taken.
    min_count: Whole = Field(1, ge=1)


class Count(Settings):
    """So many events of some types, or more, within one window."""

    kind: Literal["count"]
    id: Id
    of: Types
    at_least: Whole = Field(1, ge=1, le=10_000)
    window: Window


class Level(Settings):
    """Something is so since one event, until another: the last of all these was one that raises it."""

    kind: Literal["level"]
    id: Id
    raised_by: Types
    lowered_by: Types


class Timer(Settings):
    """What began with one event has not ended with another for too long."""

    kind: Literal["timer"]
    id: Id
    started_by: Types
    ended_by: Types
    after: Window


def _is_matcher(said: str) -> str:
    if (fault := Matcher.parse(said).fault()) is not None:
        raise ValueError(f"{said!r} {fault}")
    return said


class Received(Settings):
    """An Alertmanager says that an alert of its own fires: one alert here for each there that fits."""

    kind: Literal["received"]
    id: Id
    #: What its labels must be, as Alertmanager writes it: ``severity=critical``, ``team!~db|web``.
    matches: Annotated[
        tuple[Annotated[str, AfterValidator(_is_matcher)], ...], Field(min_length=1, max_length=20)
    ]
    #: It is taken to be over when nobody has said for so long that it still fires. Alertmanager repeats what
    #: fires by its ``repeat_interval``, every 4 hours by default.
    expires: Annotated[Window, Field(ge=LEAST_EXPIRY)] = timedelta(days=1)

    def fits(self, labels: Mapping[str, str]) -> bool:
        """True for an alert with these labels."""
        return all(Matcher.parse(said).matches(labels) for said in self.matches)


class Always(Settings):
    """Holds whenever somebody looks."""

    kind: Literal["always"]
    id: Id


#: Those that count good and bad ones of a service level.
OfLevel = Rate | Budget | Burn
Condition = Annotated[
    Rate | Budget | Burn | Mean | Count | Level | Timer | Received | Always, Field(discriminator="kind")
]


class Recovered(Settings):
    """Proved by successes: enough good ones over a window, and a share of all."""

    kind: Literal["rate"]
    at_least: Share
    window: Window
    #: Of latency: as in the condition.
    within: Window | None = None
    #: Recovery is proved by successes, never by the absence of failures. Probes may prove it where fewer
    #: executions than this ran.
    min_successes: Whole = Field(ge=1)
    #: How long it must be so without a break.
    hold: Length = timedelta(0)


class Lower(Settings):
    """The mean is under a limit, over one window."""

    kind: Literal["mean"]
    below: float = Field(gt=0)
    window: Window
    min_count: Whole = Field(1, ge=1)
    hold: Length = timedelta(0)


class Quiet(Settings):
    """None of the conditions holds any more."""

    kind: Literal["quiet"]
    hold: Length = timedelta(0)


Resolve = Annotated[Recovered | Lower | Quiet, Field(discriminator="kind")]


def long_window(condition: OfLevel | Mean) -> timedelta:
    """The window that a condition's evidence is weighed over."""
    return condition.long if isinstance(condition, Burn) else condition.window


def beginnings(condition: Condition) -> frozenset[EventType]:
    """The events that can make it hold; none, for one that counts a service level."""
    match condition:
        case Count():
            return frozenset(condition.of)
        case Level():
            return frozenset(condition.raised_by)
        case Timer():
            return frozenset(condition.started_by)
        case Received():
            return frozenset({EventType.ALERT_RECEIVED})
    return frozenset()


def types_of(condition: Condition) -> frozenset[EventType]:
    """The events that a condition names itself."""
    match condition:
        case Level():
            return beginnings(condition) | frozenset(condition.lowered_by)
        case Timer():
            return beginnings(condition) | frozenset(condition.ended_by)
    return beginnings(condition)
