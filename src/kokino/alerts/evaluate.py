"""Does a rule fire, does it clear, and why: pure, on what was counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from kokino.alerts import words
from kokino.alerts.conditions import (
    Always,
    Budget,
    Burn,
    Condition,
    Count,
    Level,
    Lower,
    Mean,
    OfLevel,
    Quiet,
    Rate,
    Received,
    Recovered,
    Timer,
    long_window,
)
from kokino.alerts.gate import weigh
from kokino.alerts.measured import Measured
from kokino.alerts.observe import Measurements, view_of
from kokino.alerts.rule import AlertRule, NoData
from kokino.slo.budget import burn_rate, burn_rate_of
from kokino.slo.model import Objective
from kokino.telemetry.model import Counts, Memory


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
    #: True where nothing ran and the rule says that then nothing changes.
    is_frozen: bool = False

    @property
    def breaches(self) -> bool:
        """True where somebody must hear of it, which nobody must of what is over by the rule's own word."""
        return self.fires and not self.clears


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One condition's answer."""

    condition: Condition
    holds: bool
    #: Why, in plain English; of many findings only one is told.
    say: Callable[[], str]
    #: Good and bad over its window; None for one that counts none.
    counts: Counts | None = None
    #: Over its short window, for one that has two.
    short: Counts | None = None
    #: What it looked at otherwise: a mean in MiB, a number of events.
    value: float | None = None
    chance: float | None = None
    #: Where people see what it tells of.
    link: str | None = None

    @property
    def is_silent(self) -> bool:
        """True where nothing ran, so that it proves nothing."""
        if isinstance(self.condition, Mean):
            return self.value is None
        return self.counts is not None and not self.counts.total


def evaluate(
    rule: AlertRule, objective: Objective | None, measurements: Measurements, *, now: datetime
) -> Verdict:
    """Look at every condition; the first that holds is the one that is named.

    `objective` is that of the rule's service level; None for a rule without one.
    """
    findings = [_find(rule, objective, condition, measurements, now) for condition in rule.conditions]
    holding = [finding for finding in findings if finding.holds]
    told = holding[0] if holding else _closest(findings)
    is_silence_bad = rule.no_data is NoData.ALERT and told.is_silent and _is_whole(told, measurements, now)
    fires = bool(holding) or is_silence_bad
    reason = _reason(rule, told)
    is_frozen = not fires and told.is_silent and rule.no_data is NoData.FREEZE
    clears, clear_reason = _clears(rule, objective, measurements, reason, holds=fires or is_frozen)
    return Verdict(
        fires=fires,
        clears=clears,
        condition=told.condition.id if holding else None,
        reason=reason,
        clear_reason=clear_reason,
        measured=_measured(objective, told, holding, reason),
        is_frozen=is_frozen,
    )


def _closest(findings: list[Finding]) -> Finding:
    """Of conditions that all do not hold, the one to tell of: stopped by the gate alone, else the first."""
    return next((finding for finding in findings if finding.chance is not None), findings[0])


def _is_whole(told: Finding, measurements: Measurements, now: datetime) -> bool:
    """Is its window as long as it should be? Just after a resolve nothing can have run in it yet."""
    begins, condition = measurements.windows_from, told.condition
    return (
        begins is None or not isinstance(condition, OfLevel | Mean) or now >= begins + long_window(condition)
    )


def _reason(rule: AlertRule, told: Finding) -> str:
    condition = told.condition
    if told.is_silent and isinstance(condition, OfLevel | Mean):
        return words.silence(rule.slo, rule.no_data, long_window(condition))
    return told.say()


def _find(
    rule: AlertRule,
    objective: Objective | None,
    condition: Condition,
    measurements: Measurements,
    now: datetime,
) -> Finding:
    if isinstance(condition, OfLevel):
        if objective is None:
            raise ValueError(f"rule {rule.id}: condition {condition.id} needs a service level")
        return _weighed(rule, condition, _of_level(objective, condition, measurements))
    return _of_events(condition, measurements, now)


def _weighed(rule: AlertRule, condition: OfLevel, found: Finding) -> Finding:
    """What the gate makes of a threshold that is passed."""
    counts, alpha = found.counts, condition.alpha
    if not found.holds or rule.p is None or alpha is None or counts is None:
        return found
    evidence = weigh(counts, p=rule.p, alpha=alpha)
    return Finding(
        condition=condition,
        holds=evidence.is_enough,
        say=lambda: words.weighed(found.say(), evidence, alpha),
        counts=counts,
        short=found.short,
        chance=evidence.chance,
    )


def _of_level(objective: Objective, condition: OfLevel, measurements: Measurements) -> Finding:
    """Is the condition's threshold passed, evidence aside?"""
    view = view_of(objective, condition)
    counts = measurements.counts[view, long_window(condition)]
    short: Counts | None = None
    burn = burn_rate(counts, objective.target)
    match condition:
        case Rate():
            is_under = counts.ratio is not None and counts.ratio < condition.below
            holds = is_under and counts.bad >= condition.min_bad
            say = partial(words.rate, view, counts, condition, is_over=holds)
        case Budget():
            limit = burn_rate_of(condition.share, condition.window, objective.window)
            holds = burn is not None and burn >= limit
            say = partial(words.budget, view, counts, condition, burn, limit, is_over=holds)
        case Burn():
            short = measurements.counts[view, condition.short]
            burn_short = burn_rate(short, objective.target)
            holds = min(burn or 0.0, burn_short or 0.0) >= condition.rate
            say = partial(words.burn, view, counts, condition, burn, burn_short, is_over=holds)
    return Finding(condition=condition, holds=holds, say=say, counts=counts, short=short)


def _of_events(
    condition: Mean | Count | Level | Timer | Received | Always, measurements: Measurements, now: datetime
) -> Finding:
    match condition:
        case Mean():
            peaks = measurements.memory[condition.window]
            holds = _is_measured(peaks, condition) and (peaks.mean_mb or 0.0) > condition.above
            say = partial(words.mean, peaks, condition, is_over=holds)
            return Finding(condition=condition, holds=holds, say=say, value=peaks.mean_mb)
        case Count():
            number = measurements.events[condition.id]
            holds = number >= condition.at_least
            return Finding(
                condition=condition, holds=holds, say=partial(words.count, number, condition), value=number
            )
        case Level():
            since = _for(measurements, condition, now)
            return Finding(
                condition=condition,
                holds=since is not None,
                say=partial(words.level, condition, since, measurements.said.get(condition.id)),
            )
        case Timer():
            since = _for(measurements, condition, now)
            holds = since is not None and since >= condition.after
            say = partial(words.timer, condition, since, is_over=holds)
            return Finding(condition=condition, holds=holds, say=say)
        case Received():
            told = measurements.told.get(condition.id)
            holds = told is not None and now < told.at + condition.expires
            say = partial(words.received, condition, told, is_over=not holds)
            return Finding(
                condition=condition, holds=holds, say=say, link=None if told is None else told.link
            )
        case Always():
            return Finding(condition=condition, holds=True, say=words.always)


def _is_measured(peaks: Memory, part: Mean | Lower) -> bool:
    return peaks.count >= part.min_count


def _for(measurements: Measurements, condition: Level | Timer, now: datetime) -> timedelta | None:
    since = measurements.since.get(condition.id)
    return None if since is None else now - since


def _clears(
    rule: AlertRule, objective: Objective | None, measurements: Measurements, reason: str, *, holds: bool
) -> tuple[bool, str]:
    """Does the resolve condition hold? `holds` is whether one of the others does, or did when nothing ran."""
    match rule.resolve:
        case Quiet():
            return not holds, words.quiet(reason, clears=not holds)
        case Lower() as resolve:
            peaks = measurements.memory[resolve.window]
            if not peaks.count:
                return rule.no_data is NoData.OK, words.silence(rule.slo, rule.no_data, resolve.window)
            clears = _is_measured(peaks, resolve) and (peaks.mean_mb or 0.0) < resolve.below
            return clears, words.lower(peaks, resolve, clears=clears)
        case Recovered() as resolve:
            return _has_recovered(rule, objective, resolve, measurements)


def _has_recovered(
    rule: AlertRule, objective: Objective | None, resolve: Recovered, measurements: Measurements
) -> tuple[bool, str]:
    """Probes count where fewer executions ran than it asks for."""
    if objective is None:
        raise ValueError(f"rule {rule.id}: its resolve condition needs a service level")
    view = view_of(objective, resolve)
    counts = measurements.counts[view, resolve.window]
    has_probes = counts.total < resolve.min_successes and measurements.probes.total > 0
    if has_probes:
        counts += measurements.probes
    if not counts.total:
        return rule.no_data is NoData.OK, words.silence(rule.slo, rule.no_data, resolve.window)
    clears = counts.good >= resolve.min_successes and (counts.ratio or 0.0) >= resolve.at_least
    return clears, words.recovery(view, counts, resolve, clears=clears, has_probes=has_probes)


def _measured(objective: Objective | None, told: Finding, holding: list[Finding], reason: str) -> Measured:
    condition, counts = told.condition, told.counts
    basis = Measured(
        condition=condition.id if told.holds else None,
        holding=[finding.condition.id for finding in holding],
        reason=reason,
        value=told.value,
        link=told.link,
    )
    if objective is None or counts is None or not isinstance(condition, OfLevel):
        window = condition.window if isinstance(condition, Mean | Count) else None
        return replace(basis, window_seconds=None if window is None else int(window.total_seconds()))
    return replace(
        basis,
        slo=objective.id.value,
        current=counts.ratio,
        target=objective.target,
        window_seconds=int(long_window(condition).total_seconds()),
        good=counts.good,
        bad=counts.bad,
        total=counts.total,
        burn_long=burn_rate(counts, objective.target),
        burn_short=None if told.short is None else burn_rate(told.short, objective.target),
        chance=told.chance,
    )
