"""What comparisons come to together: how many match, how long each side takes, and what each costs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from kokino.shadow.model import Comparison, Run, Side, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Counts of a window."""

    #: Matches and mismatches.
    comparisons: int
    matches: int
    mismatches: int
    not_compared: int
    #: Where headless took much longer.
    regressions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Shares of all comparisons, 0 to 1; None without any."""

    match: float | None
    mismatch: float | None
    tmux_success: float | None
    headless_success: float | None
    regression: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long one side took, of the comparisons in which both came to an answer; None without any."""

    count: int
    mean_ms: int | None
    p50_ms: int | None
    p95_ms: int | None
    max_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one side took of the machine and of money, as far as it was measured; None where it was not."""

    mean_peak_memory_bytes: int | None
    max_peak_memory_bytes: int | None
    #: Of all comparisons together; a CLI in a terminal may not tell.
    cost_usd: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Everything about one set of comparisons."""

    totals: Totals
    rates: Rates
    #: What decided, of matches and of mismatches.
    matched_by: Mapping[str, int]
    mismatched_by: Mapping[str, int]
    #: Why some were not compared.
    not_compared: Mapping[str, int]
    latency: Mapping[Side, Latency]
    resources: Mapping[Side, Cost]


def figures(found: Sequence[Comparison]) -> Figures:
    """Sum them up."""
    compared = [one for one in found if one.verdict is not Verdict.NOT_COMPARED]
    return Figures(
        totals=_totals(found),
        rates=_rates(compared),
        matched_by=_layers(compared, Verdict.MATCH),
        mismatched_by=_layers(compared, Verdict.MISMATCH),
        not_compared=_reasons(found),
        latency={side: _latency(compared, side) for side in Side},
        resources={side: _cost([run_of(one, side) for one in found]) for side in Side},
    )


def by(found: Iterable[Comparison], name: Callable[[Comparison], str]) -> dict[str, Figures]:
    """The same for each agent or CLI type, by name."""
    groups: dict[str, list[Comparison]] = {}
    for one in found:
        groups.setdefault(name(one), []).append(one)
    return {name: figures(some) for name, some in sorted(groups.items())}


def run_of(comparison: Comparison, side: Side) -> Run:
    """What one side of it took."""
    return comparison.tmux if side is Side.TMUX else comparison.headless


def _totals(found: Sequence[Comparison]) -> Totals:
    verdicts = Counter(one.verdict for one in found)
    matches, mismatches = verdicts[Verdict.MATCH], verdicts[Verdict.MISMATCH]
    return Totals(
        comparisons=matches + mismatches,
        matches=matches,
        mismatches=mismatches,
        not_compared=verdicts[Verdict.NOT_COMPARED],
        regressions=sum(one.is_regression for one in found),
    )


def _rates(compared: Sequence[Comparison]) -> Rates:
    def share(is_one: Callable[[Comparison], bool]) -> float | None:
        return sum(map(is_one, compared)) / len(compared) if compared else None

    return Rates(
        match=share(lambda one: one.verdict is Verdict.MATCH),
        mismatch=share(lambda one: one.verdict is Verdict.MISMATCH),
        tmux_success=share(lambda one: one.tmux.is_completed),
        headless_success=share(lambda one: one.headless.is_completed),
        regression=share(lambda one: one.is_regression),
    )


def _layers(compared: Iterable[Comparison], verdict: Verdict) -> dict[str, int]:
    return dict(Counter(one.layer.value for one in compared if one.verdict is verdict and one.layer))


def _reasons(found: Iterable[Comparison]) -> dict[str, int]:
    reasons = (one.reason or "" for one in found if one.verdict is Verdict.NOT_COMPARED)
    return dict(Counter(reasons).most_common())


def _latency(compared: Iterable[Comparison], side: Side) -> Latency:
    both = (one for one in compared if one.tmux.is_completed and one.headless.is_completed)
    lengths = sorted(length for one in both if (length := run_of(one, side).duration_ms) is not None)
    return Latency(
        count=len(lengths),
        mean_ms=round(sum(lengths) / len(lengths)) if lengths else None,
        p50_ms=quantile(lengths, 0.5),
        p95_ms=quantile(lengths, 0.95),
        max_ms=lengths[-1] if lengths else None,
    )


def quantile(lengths: Sequence[int], q: float) -> int | None:
    """The smallest of the sorted `lengths` that a share of `q` does not go over; None of none."""
    return lengths[max(0, math.ceil(q * len(lengths)) - 1)] if lengths else None


def _cost(runs: Iterable[Run]) -> Cost:
    measured = list(runs)
    peaks = [run.peak_memory_bytes for run in measured if run.peak_memory_bytes is not None]
    costs = [run.cost_usd for run in measured if run.cost_usd is not None]
    return Cost(
        mean_peak_memory_bytes=round(sum(peaks) / len(peaks)) if peaks else None,
        max_peak_memory_bytes=max(peaks, default=None),
        cost_usd=sum(costs) if costs else None,
    )
