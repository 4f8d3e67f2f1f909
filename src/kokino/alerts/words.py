"""The sentences that tell why an alert fires, does not, or is over."""

from __future__ import annotations

import math
from datetime import timedelta

from kokino.alerts.gate import Evidence
from kokino.alerts.rule import Budget, Burn, NoData, Rate, Resolve
from kokino.telemetry.model import Counts

_UNITS = (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("min", timedelta(minutes=1)))


def rate(counts: Counts, condition: Rate, *, is_over: bool) -> str:
    """``availability 98.20 % over 1 h is under 99 % (9 of 500 executions failed)``."""
    if counts.ratio is None:
        return f"no executions over {length(condition.window)}"
    verdict = "is under" if is_over else "is not under"
    where = f"availability {percent(counts.ratio)} over {length(condition.window)}"
    return f"{where} {verdict} {condition.below * 100:g} % ({failed(counts)})"


def budget(counts: Counts, condition: Budget, burn: float | None, limit: float, *, is_over: bool) -> str:
    """``the error budget burned 80.0 times as fast as allowed over 1 h (…), which reaches the 72 …``."""
    verdict = "reaches" if is_over else "stays under"
    what = f"the error budget burned {times(burn)} over {length(condition.window)} ({failed(counts)})"
    return f"{what}, which {verdict} the {limit:g} that spend {condition.share * 100:g} % of it in that time"


def burn(counts: Counts, condition: Burn, long: float | None, short: float | None, *, is_over: bool) -> str:
    """``the error budget burned 20.0 times as fast as allowed over 1 h (…) and 25.0 … over 5 min, …``."""
    verdict = "both at least" if is_over else "not both at least"
    over_long = f"{times(long)} over {length(condition.long)} ({failed(counts)})"
    over_short = f"{times(short)} over {length(condition.short)}"
    return f"the error budget burned {over_long} and {over_short}, {verdict} {condition.rate:g} times"


def weighed(reason: str, evidence: Evidence, alpha: float) -> str:
    """The threshold's sentence, with what the gate says of it."""
    # What is rarer than this is not worth its zeros.
    chance = f"{evidence.chance * 100:.2g} %" if evidence.chance >= 1e-5 else "less than 0.001 %"
    if evidence.is_enough:
        return f"{reason}; if the SLO were kept, chance would do that with {chance}"
    return (
        f"{reason}; but chance does that with {chance} if the SLO is kept, and it pages at {alpha * 100:g} %"
    )


def recovery(counts: Counts, resolve: Resolve, *, clears: bool, has_probes: bool) -> str:
    """``recovered: 5 of 5 executions over 5 min succeeded; asked for are …``."""
    verdict = "recovered" if clears else "not recovered"
    source = "executions and probes" if has_probes else "executions"
    what = f"{counts.good} of {counts.total} {source} over {length(resolve.window)} succeeded"
    asked = f"{resolve.at_least * 100:g} % and at least {resolve.min_successes} successes"
    return f"{verdict}: {what}; asked for are {asked}"


def silence(no_data: NoData, window: timedelta) -> str:
    """What it means that nothing ran."""
    meaning = {
        NoData.FREEZE: "the state stays as it is",
        NoData.ALERT: "this rule takes that for a breach",
        NoData.OK: "this rule takes that for health",
    }
    return f"no executions over {length(window)}: {meaning[no_data]}"


def failed(counts: Counts) -> str:
    """``9 of 500 executions failed``."""
    return f"{counts.bad} of {counts.total} executions failed"


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
