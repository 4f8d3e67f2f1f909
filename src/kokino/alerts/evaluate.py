"""Does a rule fire, does it clear, and why: pure, on what was counted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from kokino.alerts import words
from kokino.alerts.gate import weigh
from kokino.alerts.observe import Measurements
from kokino.alerts.rule import AlertRule, Budget, Burn, NoData, Rate, long_window
from kokino.slo.budget import budget, burn_rate, burn_rate_of
from kokino.slo.model import Objective
from kokino.telemetry.model import Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a page, an incident and ``why`` tell: stored with the alert as it is."""

    #: The service level that the rule watches.
    slo: str
    #: Good over valid executions in the condition's window; None without any.
    current: float | None
    #: The objective.
    target: float
    #: Length of the condition's window in seconds, and what was counted in it.
    window_seconds: int
    good: int
    bad: int
    total: int
    #: The condition that decided; None when none holds.
    condition: str | None
    #: All conditions that hold.
    holding: list[str]
    #: Why it fires or does not, in plain English.
    reason: str
    #: How fast the error budget goes over the condition's window; None without executions.
    burn_long: float | None
    #: The same over its short window, for a condition that has one.
    burn_short: float | None
    #: Probability of these failures, or more, if the SLO were kept; None in the ungated form.
    chance: float | None
    #: The error budget's window in days, its size and what of it is spent and left, in minutes. Spent can
    #: be more than there was. None without executions.
    budget_days: float
    budget_minutes: float
    budget_minutes_spent: float | None
    budget_minutes_left: float | None
    #: Share of the error budget that is spent, 1.3 when it is overspent by 30 %; None without executions.
    budget_consumed: float | None

    def to_document(self) -> dict[str, Any]:
        """As it is stored."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a rule says about what was counted."""

    #: True while one of its conditions holds.
    fires: bool
    #: True while its resolve condition holds.
    clears: bool
    #: The condition that holds, if any.
    condition: str | None
    #: Why it fires, or why it does not.
    reason: str
    #: Why it clears, or why it does not.
    clear_reason: str
    measured: Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    """One condition's answer."""

    condition: Rate | Budget | Burn
    holds: bool
    reason: str
    counts: Counts
    chance: float | None = None


def evaluate(rule: AlertRule, objective: Objective, measurements: Measurements) -> Verdict:
    """Look at every condition; the first that holds is the one that is named."""
    findings = [_find(rule, objective, condition, measurements) for condition in rule.conditions]
    holding = [finding for finding in findings if finding.holds]
    told = holding[0] if holding else _closest(findings)
    is_silent = not told.counts.total
    fires = bool(holding) or (is_silent and rule.no_data is NoData.ALERT)
    clears, clear_reason = _clears(rule, measurements)
    reason = words.silence(rule.no_data, long_window(told.condition)) if is_silent else told.reason
    return Verdict(
        fires=fires,
        clears=clears,
        condition=told.condition.id if holding else None,
        reason=reason,
        clear_reason=clear_reason,
        measured=_measured(
            objective, told, [finding.condition.id for finding in holding], reason, measurements
        ),
    )


def _closest(findings: list[_Finding]) -> _Finding:
    """Of conditions that all do not hold, the one to tell of: stopped by the gate alone, else the first."""
    return next((finding for finding in findings if finding.chance is not None), findings[0])


def _find(
    rule: AlertRule, objective: Objective, condition: Rate | Budget | Burn, measurements: Measurements
) -> _Finding:
    counts = measurements.windows[long_window(condition)]
    is_over, reason = _is_over(objective, condition, measurements)
    if not is_over or rule.p is None or condition.alpha is None:
        return _Finding(condition=condition, holds=is_over, reason=reason, counts=counts)
    evidence = weigh(counts, p=rule.p, alpha=condition.alpha)
    return _Finding(
        condition=condition,
        holds=evidence.is_enough,
        reason=words.weighed(reason, evidence, condition.alpha),
        counts=counts,
        chance=evidence.chance,
    )


def _is_over(
    objective: Objective, condition: Rate | Budget | Burn, measurements: Measurements
) -> tuple[bool, str]:
    """Is the condition's threshold passed, evidence aside?"""
    counts = measurements.windows[long_window(condition)]
    burn = burn_rate(counts, objective.target)
    match condition:
        case Rate():
            is_over = counts.ratio is not None and counts.ratio < condition.below
            return is_over, words.rate(counts, condition, is_over=is_over)
        case Budget():
            limit = burn_rate_of(condition.share, condition.window, objective.window)
            is_over = burn is not None and burn >= limit
            return is_over, words.budget(counts, condition, burn, limit, is_over=is_over)
        case Burn():
            short = burn_rate(measurements.windows[condition.short], objective.target)
            is_over = min(burn or 0.0, short or 0.0) >= condition.rate
            return is_over, words.burn(counts, condition, burn, short, is_over=is_over)


def _clears(rule: AlertRule, measurements: Measurements) -> tuple[bool, str]:
    """Does the resolve condition hold? Probes count where fewer executions ran than it asks for."""
    resolve, counts = rule.resolve, measurements.recovery
    has_probes = counts.total < resolve.min_successes and measurements.probes.total > 0
    if has_probes:
        counts += measurements.probes
    if not counts.total:
        return rule.no_data is NoData.OK, words.silence(rule.no_data, resolve.window)
    clears = counts.good >= resolve.min_successes and (counts.ratio or 0.0) >= resolve.at_least
    return clears, words.recovery(counts, resolve, clears=clears, has_probes=has_probes)


def _measured(
    objective: Objective, told: _Finding, holding: list[str], reason: str, measurements: Measurements
) -> Measured:
    spent, counts, condition = budget(measurements.budget, objective), told.counts, told.condition
    consumed = spent.consumed
    short = measurements.windows[condition.short] if isinstance(condition, Burn) else None
    return Measured(
        slo=objective.id.value,
        current=counts.ratio,
        target=objective.target,
        window_seconds=int(long_window(condition).total_seconds()),
        good=counts.good,
        bad=counts.bad,
        total=counts.total,
        condition=condition.id if told.holds else None,
        holding=holding,
        reason=reason,
        burn_long=burn_rate(counts, objective.target),
        burn_short=None if short is None else burn_rate(short, objective.target),
        chance=told.chance,
        budget_days=objective.window / timedelta(days=1),
        budget_minutes=spent.minutes_total,
        budget_minutes_spent=None if consumed is None else spent.minutes_total * consumed,
        budget_minutes_left=spent.minutes_remaining,
        budget_consumed=consumed,
    )
