"""Queries of the dashboard. They ask for what a broker shows itself, and need none of the recorded series."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from fractions import Fraction

from kokino.alerts.observe import View
from kokino.exports.counters import HEARTBEAT, Counter, bad, good
from kokino.exports.promql import duration, number
from kokino.slo.model import Objective

#: The brokers that somebody looks at.
CHOSEN = 'instance=~"$instance"'
#: A window that reaches back behind what Prometheus knows begins with that, looked for in so many steps.
_STEPS = 60

#: A query as of now, or as of then: given ``""``, or ``" offset 1h"``.
Asked = Callable[[str], str]


def of(metric: str, *matchers: str, offset: str = "") -> str:
    """A metric of the chosen brokers."""
    return f"{metric}{{{', '.join([*matchers, CHOSEN])}}}{offset}"


def running(offset: str = "") -> str:
    """What is always there while a broker is scraped."""
    return f"sum({of(HEARTBEAT, offset=offset)})"


def constant(value: float) -> str:
    """A line at `value`, for as long as a broker is scraped."""
    return f"0 * {running()} + {number(value)}"


def counted(counter: Counter) -> Asked:
    """A counter over all CLI types; 0 where it never counted."""

    def asked(offset: str) -> str:
        total = _sum(counter.metric, offset)
        less = "" if counter.less is None else f" - {_sum(counter.less, offset)}"
        return f"({total}{less} or 0 * {running(offset)})"

    return asked


def grown(asked: Asked, window: timedelta) -> str:
    """How much a counter grew over a window, to the last one."""
    ago = duration(window)
    step = duration(
        max(window // _STEPS // timedelta(seconds=1) * timedelta(seconds=1), timedelta(seconds=15))
    )
    return f"({asked('')} - ({asked(f' offset {ago}')} or min_over_time({asked('')}[{ago}:{step}])))"


def bad_share(objective: Objective, window: timedelta) -> str:
    """The share that was bad; no number where nothing ran."""
    view = View(objective.id, objective.threshold)
    bad_of, good_of = (grown(counted(counter), window) for counter in (bad(view), good(view)))
    return f"{bad_of} / ({good_of} + {bad_of})"


def good_share(objective: Objective, window: timedelta) -> str:
    """The share that was good; no number where nothing ran."""
    return f"1 - {bad_share(objective, window)}"


def burn_rate(objective: Objective, window: timedelta) -> str:
    """How many times faster than allowed the budget goes."""
    return f"{bad_share(objective, window)} / {number(_allowed(objective))}"


def budget_left(objective: Objective) -> str:
    """The share of the error budget that is left over the objective's window, not below 0."""
    return f"clamp_min(1 - {burn_rate(objective, objective.window)}, 0)"


def quantile(q: float, window: timedelta) -> str:
    """How long executions took that ended within a window, as a histogram can tell."""
    buckets = f"sum by (le) (rate({of('headless_execution_duration_seconds_bucket')}[{duration(window)}]))"
    return f"histogram_quantile({number(q)}, {buckets})"


def each(metric: str, label: str, window: timedelta, *matchers: str) -> str:
    """How much a counter grew over a window, by one of its labels; those that did not are left out."""
    now, then = (
        f"sum by ({label}) ({of(metric, *matchers, offset=offset)})"
        for offset in ("", f" offset {duration(window)}")
    )
    return f"{now} - ({then} or 0 * {now}) > 0"


def mean_memory(window: timedelta) -> str:
    """The mean of the peaks of executions that ended within a window, in MiB, by CLI type."""
    parts = (
        each(f"headless_execution_memory_peak_mb_{part}", "cli_type", window) for part in ("sum", "count")
    )
    return " / ".join(f"({part})" for part in parts)


def _sum(metric: str, offset: str) -> str:
    name, _, selector = metric.partition("{")
    matchers = [selector.removesuffix("}")] if selector else []
    return f"sum({of(name, *matchers, offset=offset)})"


def _allowed(objective: Objective) -> float:
    return float(1 - Fraction(str(objective.target)))
