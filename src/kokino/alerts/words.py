"""The sentences that tell why an alert fires, does not, or is over."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

from kokino.alerts.conditions import (
    Budget,
    Burn,
    Count,
    Level,
    Lower,
    Mean,
    Rate,
    Received,
    Recovered,
    Timer,
)
from kokino.alerts.gate import Evidence
from kokino.alerts.observe import View
from kokino.alerts.received import Told
from kokino.alerts.rule import NoData
from kokino.clock import spoken
from kokino.slo.model import SloId
from kokino.telemetry.model import Counts, Memory

#: Characters of what an event said that stand in a reason: a message is no log.
LONGEST = 300
_UNITS = (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("min", timedelta(minutes=1)))


@dataclass(frozen=True, slots=True)
class _Said:
    """How people speak of a service level."""

    #: The share that is promised.
    share: str
    #: What is counted, and what a bad one did.
    noun: str
    bad: str
    good: str


_LEVELS = {
    SloId.AVAILABILITY: _Said("availability", "executions", "failed", "succeeded"),
    SloId.LATENCY: _Said("the share within {}", "executions", "took longer", "were quick enough"),
    SloId.CORRECTNESS: _Said("the match rate", "comparisons", "differed", "matched"),
    SloId.INTEGRITY: _Said("the share of whole conversations", "conversations", "had a fault", "were whole"),
    SloId.RESOURCES: _Said(
        "the share within its memory", "executions", "took more memory than they should", "stayed within"
    ),
}


def rate(view: View, counts: Counts, condition: Rate, *, is_over: bool) -> str:
    """``availability 98.20 % over 1 h is under 99 % (9 of 500 executions failed)``."""
    said, over = _LEVELS[view.slo], length(condition.window)
    if counts.ratio is None:
        return f"no {said.noun} over {over}"
    share = said.share.format("" if view.within is None else length(view.within))
    where = f"{share} {percent(counts.ratio)} over {over}"
    verdict = "is under" if counts.ratio < condition.below else "is not under"
    few = counts.ratio < condition.below and not is_over
    asked = f"; {condition.min_bad} are asked for" if few else ""
    return f"{where} {verdict} {condition.below * 100:g} % ({failed(view, counts)}{asked})"


def budget(
    view: View, counts: Counts, condition: Budget, burn: float | None, limit: float, *, is_over: bool
) -> str:
    """``the error budget burned 80.0 times as fast as allowed over 1 h (…), which reaches the 72 …``."""
    verdict = "reaches" if is_over else "stays under"
    over = f"{length(condition.window)} ({failed(view, counts)})"
    what = f"the error budget burned {times(burn)} over {over}"
    return f"{what}, which {verdict} the {limit:g} that spend {condition.share * 100:g} % of it in that time"


def burn(
    view: View, counts: Counts, condition: Burn, long: float | None, short: float | None, *, is_over: bool
) -> str:
    """``the error budget burned 20.0 times as fast as allowed over 1 h (…) and 25.0 … over 5 min, …``."""
    verdict = "both at least" if is_over else "not both at least"
    over_long = f"{times(long)} over {length(condition.long)} ({failed(view, counts)})"
    over_short = f"{times(short)} over {length(condition.short)}"
    return f"the error budget burned {over_long} and {over_short}, {verdict} {condition.rate:g} times"


def mean(peaks: Memory, condition: Mean, *, is_over: bool) -> str:
    """``executions took 1,200 MiB of memory on average over 1 h (40 of them), above 1,024 MiB``."""
    if peaks.mean_mb is None:
        return f"no executions over {length(condition.window)}"
    verdict = "above" if is_over else "not above"
    few = condition.min_count > peaks.count and peaks.mean_mb > condition.above
    asked = f"; {condition.min_count} are asked for" if few else ""
    return f"{_mean(peaks, condition.window, asked)}, {verdict} {condition.above:,g} MiB"


def count(number: int, condition: Count) -> str:
    """``3 events over 1 h (ORPHAN_DETECTED); 1 is asked for``."""
    kinds = ", ".join(condition.of)
    asked = "1 is" if condition.at_least == 1 else f"{condition.at_least} are"
    return f"{number} events over {length(condition.window)} ({kinds}); {asked} asked for"


def level(condition: Level, since: timedelta | None, said: str | None) -> str:
    """``CIRCUIT_OPENED 3 min ago, and no CIRCUIT_CLOSED since: stopped after 5 failures in a row``."""
    raised, lowered = " or ".join(condition.raised_by), " or ".join(condition.lowered_by)
    if since is None:
        return f"no {raised} without {lowered} after it"
    told = "" if said is None else f": {said if len(said) <= LONGEST else said[: LONGEST - 1] + '…'}"
    return f"{raised}{_ago(since)}, and no {lowered} since{told}"


def timer(condition: Timer, since: timedelta | None, *, is_over: bool) -> str:
    """``EXECUTION_WAITING 20 min ago without EXECUTION_COMPLETED: longer than 15 min``."""
    started, ended = " or ".join(condition.started_by), " or ".join(condition.ended_by)
    if since is None:
        return f"no {started} without {ended} after it"
    verdict = "at least" if is_over else "not yet"
    return f"{started}{_ago(since)} without {ended}: {verdict} {length(condition.after)}"


def received(condition: Received, told: Told | None, *, is_over: bool) -> str:
    """``an Alertmanager says so since 2026-01-05 09:00:00 UTC: disk of db-1 is 97 % full``."""
    if told is None:
        return "no Alertmanager says that it fires"
    if is_over:
        return f"no Alertmanager has repeated it for {length(condition.expires)}: {told.summary}"
    return f"an Alertmanager says so since {spoken(told.since)}: {told.summary}"


def always() -> str:
    """For the alert that proves that alerts get through."""
    return "it always fires: whoever hears nothing of it has lost this broker"


def weighed(reason: str, evidence: Evidence, alpha: float) -> str:
    """The threshold's sentence, with what the gate says of it."""
    # What is rarer than this is not worth its zeros.
    chance = f"{evidence.chance * 100:.2g} %" if evidence.chance >= 1e-5 else "less than 0.001 %"
    if evidence.is_enough:
        return f"{reason}; if the SLO were kept, chance would do that with {chance}"
    return (
        f"{reason}; but chance does that with {chance} if the SLO is kept, and it pages at {alpha * 100:g} %"
    )


def recovery(view: View, counts: Counts, resolve: Recovered, *, clears: bool, has_probes: bool) -> str:
    """``recovered: 5 of 5 executions over 5 min succeeded; asked for are …``."""
    said = _LEVELS[view.slo]
    verdict = "recovered" if clears else "not recovered"
    source = f"{said.noun} and probes" if has_probes else said.noun
    what = f"{counts.good} of {counts.total} {source} over {length(resolve.window)} {said.good}"
    asked = f"{resolve.at_least * 100:g} % and at least {resolve.min_successes} successes"
    return f"{verdict}: {what}; asked for are {asked}"


def lower(peaks: Memory, resolve: Lower, *, clears: bool) -> str:
    """``recovered: executions took 800 MiB of memory on average over 10 min (4 of them), under 922 MiB``."""
    verdict, under = ("recovered", "under") if clears else ("not recovered", "not under")
    few = resolve.min_count > peaks.count and not clears
    asked = f"; {resolve.min_count} are asked for" if few else ""
    return f"{verdict}: {_mean(peaks, resolve.window, asked)}, {under} {resolve.below:,g} MiB"


def quiet(reason: str, *, clears: bool) -> str:
    """Of a rule that is over when none of its conditions holds any more."""
    return f"over: {reason}" if clears else f"not over: {reason}"


def silence(slo: SloId | None, no_data: NoData, window: timedelta) -> str:
    """What it means that nothing ran."""
    meaning = {
        NoData.FREEZE: "the state stays as it is",
        NoData.ALERT: "this rule takes that for a breach",
        NoData.OK: "this rule takes that for health",
    }
    noun = "executions" if slo is None else _LEVELS[slo].noun
    return f"no {noun} over {length(window)}: {meaning[no_data]}"


def failed(view: View, counts: Counts) -> str:
    """``9 of 500 executions failed``."""
    said = _LEVELS[view.slo]
    return f"{counts.bad} of {counts.total} {said.noun} {said.bad}"


def percent(share: float) -> str:
    """Two decimals, cut and not rounded: what is under its limit never looks equal to it."""
    # 0.57 * 10_000 is 5699.999999999999: what only the binary fraction lacks is given back before the cut.
    return f"{math.floor(round(share * 10_000, 6)) / 100:.2f} %"


def times(burn_rate: float | None) -> str:
    """``14.4 times as fast as allowed``: at 1 the budget lasts exactly its window."""
    return f"{burn_rate or 0.0:.1f} times as fast as allowed"


def length(window: timedelta) -> str:
    """``5 min``, ``1 h``, ``30 d``."""
    for unit, size in _UNITS:
        if window >= size and not window % size:
            return f"{window // size} {unit}"
    return f"{window.total_seconds():g} s"


def _mean(peaks: Memory, window: timedelta, asked: str) -> str:
    took = f"executions took {peaks.mean_mb or 0.0:,.0f} MiB of memory on average over {length(window)}"
    return f"{took} ({peaks.count} of them{asked})"


def _ago(since: timedelta) -> str:
    """In whole seconds or minutes: enough to find it in a log."""
    seconds = int(since.total_seconds())
    if not seconds:
        return " just now"
    return f" {seconds} s ago" if seconds < 120 else f" {seconds // 60} min ago"
