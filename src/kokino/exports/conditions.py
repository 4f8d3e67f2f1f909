"""Conditions of alert rules in PromQL, over the windows that `counters` records.

Ratios are compared as they stand in the files: good over all is one division, rounded as ours is, so that a
rate of exactly 99 % is not under 99 % here either.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from kokino.alerts.conditions import (
    Always,
    Budget,
    Burn,
    Condition,
    Count,
    Level,
    Lower,
    Mean,
    Quiet,
    Rate,
    Received,
    Recovered,
    Timer,
)
from kokino.alerts.observe import view_of
from kokino.alerts.rule import AlertRule, By, NoData
from kokino.exports.counters import MEMORY_COUNT, MEMORY_SUM, Counter, Names, Ratio, bad, good
from kokino.exports.promql import any_of, duration, number
from kokino.slo.budget import burn_rate_of
from kokino.slo.model import Objective
from kokino.telemetry import rule_metrics


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes the conditions of one rule."""

    rule: AlertRule
    #: That of the rule's service level; None for a rule without one.
    objective: Objective | None
    names: Names

    def ratios(self) -> list[Ratio]:
        """All that the conditions and the resolve look at, each once."""
        parts = (*exported(self.rule), self.rule.resolve)
        return list(dict.fromkeys(ratio for part in parts for ratio in self._ratios_of(part)))

    def fires(self) -> str:
        """Holds while a condition does and the resolve condition does not."""
        written = [f"# {condition.id}\n({self._holds(condition)})" for condition in exported(self.rule)]
        if self.rule.no_data is NoData.ALERT:
            written += [f"# nothing ran\n{silent}" for silent in self._whole_silences()]
        over = self.clears()
        return any_of(written) if over is None else f"(\n{any_of(written)}\n)\nunless (\n{over}\n)"

    def clears(self) -> str | None:
        """Holds while the resolve condition does; None where that is: no condition holds."""
        match self.rule.resolve:
            case Recovered() as resolve:
                ratio = self._good(resolve, resolve.window)
                enough = f"{self._grown(ratio.part, ratio)} >= {resolve.min_successes}"
                proved = f"({enough} and {self._of(ratio)} >= {number(resolve.at_least)})"
            case Lower() as resolve:
                ratio = _mean(resolve.window)
                enough = f"{self._grown(MEMORY_COUNT, ratio)} >= {resolve.min_count}"
                proved = f"({enough} and {self._of(ratio)} < {number(resolve.below)})"
            case Quiet():
                return None
        return any_of([proved, *(self._silences(resolve) if self.rule.no_data is NoData.OK else ())])

    def _holds(self, condition: Condition) -> str:
        match condition:
            case Rate():
                ratio = self._good(condition, condition.window)
                enough = f"{self._grown(ratio.of[1], ratio)} >= {condition.min_bad}"
                return f"{self._of(ratio)} < {number(condition.below)} and {enough}"
            case Budget() | Burn():
                return "\n  and ".join(self._burns(ratio, rate) for ratio, rate in self._rates(condition))
            case Mean():
                ratio = _mean(condition.window)
                enough = f"{self._grown(MEMORY_COUNT, ratio)} >= {condition.min_count}"
                return f"{self._of(ratio)} > {number(condition.above)} and {enough}"
            case Level() if (level := level_of(condition, self.rule.by)) is not None:
                return f"{level.name} == 1"
        raise ValueError(f"rule {self.rule.id}: condition {condition.id} has no metric")

    def _rates(self, condition: Budget | Burn) -> Iterator[tuple[Ratio, float]]:
        """The windows that a budget burns over, and how fast it must in each."""
        if isinstance(condition, Burn):
            yield self._bad(condition, condition.long), condition.rate
            yield self._bad(condition, condition.short), condition.rate
        else:
            window = condition.window
            yield self._bad(condition, window), burn_rate_of(condition.share, window, self._promised.window)

    def _burns(self, ratio: Ratio, rate: float) -> str:
        """Does the budget go `rate` times too fast? Asked of the share that is bad: one division."""
        allowed = 1 - Fraction(str(self._promised.target))
        if not allowed:
            # Without a budget any bad one spends all of it: a burn rate of 1, and never more.
            return f"clamp_max({self._grown(ratio.part, ratio)}, 1) >= {number(rate)}"
        return f"{self._of(ratio)} >= {number(float(Fraction(str(rate)) * allowed))}"

    def _whole_silences(self) -> Iterator[str]:
        """The same over a whole window: just after a resolve it is empty because it began anew."""
        [condition, *_] = exported(self.rule)
        for ratio in list(self._ratios_of(condition))[:1]:
            began = f"{self.names.of(ratio.of[0].name)}_at_resolve"
            for silent in self._silences(condition):
                yield f"({silent} unless last_over_time({began}[{duration(ratio.length)}]))"

    def _silences(self, part: object) -> Iterator[str]:
        """Holds while nothing ran that a part could judge."""
        for ratio in list(self._ratios_of(part))[:1]:
            all_of = " + ".join(self._grown(counter, ratio) for counter in ratio.of)
            yield f"({all_of} == 0)"

    def _of(self, ratio: Ratio) -> str:
        return self.names.of(f"{ratio.name}_{duration(ratio.length)}")

    def _grown(self, counter: Counter, ratio: Ratio) -> str:
        return self.names.window(counter, ratio.length)

    def _ratios_of(self, part: object) -> Iterator[Ratio]:
        match part:
            case Rate() | Recovered():
                yield self._good(part, part.window)
            case Budget() | Burn():
                yield from (ratio for ratio, _ in self._rates(part))
            case Mean() | Lower():
                yield _mean(part.window)

    def _good(self, part: Rate | Recovered, window: timedelta) -> Ratio:
        view = view_of(self._promised, part)
        both = good(view), bad(view)
        return Ratio(name=f"{both[0].name}_ratio", part=both[0], of=both, length=window)

    def _bad(self, part: Budget | Burn, window: timedelta) -> Ratio:
        view = view_of(self._promised, part)
        both = good(view), bad(view)
        return Ratio(name=f"{both[1].name}_ratio", part=both[1], of=both, length=window)

    @property
    def _promised(self) -> Objective:
        if self.objective is None:
            raise ValueError(f"rule {self.rule.id}: it counts a service level, and names none")
        return self.objective


def _mean(window: timedelta) -> Ratio:
    return Ratio(name="memory_mb_mean", part=MEMORY_SUM, of=(MEMORY_COUNT,), length=window)


def exported(rule: AlertRule) -> list[Condition]:
    """The conditions that have a metric to be judged by."""
    return [condition for condition in rule.conditions if why_not(rule, condition) is None]


def shortest_window(rule: AlertRule) -> timedelta:
    """The shortest time over which the rule looks at something; no length, where it has no window."""
    parts = (*exported(rule), rule.resolve)
    return min((window for part in parts for window in _windows(part)), default=timedelta(0))


def _windows(part: object) -> Iterator[timedelta]:
    match part:
        case Burn():
            yield part.short
        case Rate() | Budget() | Mean() | Recovered() | Lower():
            yield part.window


def why_not(rule: AlertRule, condition: Condition) -> str | None:
    """Why a condition is left out; None for one that is exported."""
    match condition:
        case Timer():
            return "a timer is due at an instant of its own, which no metric tells"
        case Count():
            return "events are counted by no metric"
        case Level() if level_of(condition, rule.by) is None:
            known = ", ".join(level.name for level in rule_metrics.LEVELS)
            return f"no metric tells this level; those that are told: {known}"
        case Received():
            return "such an alert comes from an Alertmanager: it is there already"
        case Always() | Level():
            return None
        case _ if By.AGENT in rule.by:
            return "no metric of executions tells them apart by agent"
    return None


def level_of(condition: Level, by: tuple[By, ...]) -> rule_metrics.Level | None:
    """The metric that tells just this level, if one does."""
    asked = (frozenset(condition.raised_by), frozenset(condition.lowered_by), frozenset(by))
    return next(
        (
            level
            for level in rule_metrics.LEVELS
            if (level.raised_by, level.lowered_by, frozenset(level.labels)) == asked
        ),
        None,
    )
