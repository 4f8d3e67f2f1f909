"""Our counts as metrics: which of them only grow, and how much each grew over a window.

A window is the counter now less the counter then: exact, where `increase` would guess at its edges.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from kokino.alerts.observe import View
from kokino.alerts.rule import By
from kokino.clock import MILLISECOND
from kokino.exports.promql import any_of, duration, ignoring, without
from kokino.ids import metric_word
from kokino.slo.model import SloId
from kokino.telemetry.model import BAD

#: Ends the name of a counter's first value that Prometheus knows.
_SEEN = "seen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """A number that only grows."""

    #: Of its recorded series, within the rule's.
    name: str
    #: The metrics that it is the sum of, and the labels that this sums over.
    metric: str
    summed_over: tuple[str, ...] = ()
    #: Another counter's metric that is taken from it: what is left also only grows.
    less: str | None = None
    #: What is not counted yet but is so already, added to each window.
    also: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """One counter's growth over a window as a share of others'."""

    #: Of its recorded series, without the window.
    name: str
    part: Counter
    #: What together is the whole.
    of: tuple[Counter, ...]
    length: timedelta


@dataclass(frozen=True, slots=True)
class Names:
    """The series that are recorded for one rule."""

    rule_id: str

    def of(self, what: str) -> str:
        """``kokino:latency_slo_breach:bad_5m``."""
        return f"kokino:{metric_word(self.rule_id)}:{what}"

    def window(self, counter: Counter, length: timedelta) -> str:
        """How much a counter grew over the last `length`, or since the latest resolve."""
        return self.of(f"{counter.name}_{duration(length)}")


def good(view: View) -> Counter:
    """The good ones of a service level."""
    if view.within is not None:
        return Counter(name=f"good{_in(view)}", metric=_quick(view), summed_over=("le",))
    metric, (result, _) = _METRICS[view.slo]
    return Counter(name="good", metric=f"{metric}{{{result}}}", summed_over=_labels(result))


def bad(view: View) -> Counter:
    """The bad ones of a service level. Of latency those that still run and are late count too."""
    if view.within is not None:
        late = f'headless_executions_running_longer{{than="{_seconds(view)}"}}'
        return Counter(
            name=f"bad{_in(view)}",
            metric="headless_execution_duration_seconds_count",
            summed_over=("le", "than"),
            less=_quick(view),
            also=late,
        )
    metric, (_, result) = _METRICS[view.slo]
    return Counter(name="bad", metric=f"{metric}{{{result}}}", summed_over=_labels(result))


MEMORY_SUM = Counter(name="memory_mb_sum", metric="headless_execution_memory_peak_mb_sum")
MEMORY_COUNT = Counter(name="memory_mb_count", metric="headless_execution_memory_peak_mb_count")

_METRICS = {
    SloId.AVAILABILITY: (
        "headless_executions_total",
        ('state="completed"', f'state=~"{"|".join(sorted(BAD))}"'),
    ),
    SloId.RESOURCES: ("headless_execution_memory_peaks_total", ('result="within"', 'result="over"')),
    SloId.CORRECTNESS: ("headless_shadow_comparisons_total", ('result="match"', 'result="mismatch"')),
    SloId.INTEGRITY: ("headless_checked_conversations_total", ('result="whole"', 'result="faulty"')),
}
#: Always there while a broker is scraped, one for each target.
HEARTBEAT = "headless_executions_running"
#: There once a broker has looked at all of its alert rules, and small as long as it goes on doing so.
TURN_AGE = "kokino_alert_turn_age_seconds"
#: Of CLI types: all that ever ended an execution, and those that run their first.
_BY_CLI_TYPE = {"headless_executions_total": "state", "headless_executions_running_longer": "than"}


def zero(names: Names, by: Sequence[By]) -> Iterator[tuple[str, str]]:
    """What a counter is that never counted: 0 for each broker, or for each of its CLI types."""
    yield names.of("zero"), f"0 * {HEARTBEAT}"
    if by:
        known = (f"0 * {without([label], metric)}" for metric, label in _BY_CLI_TYPE.items())
        yield names.of("none"), any_of(known)


def counter_rules(names: Names, counter: Counter, by: Sequence[By]) -> Iterator[tuple[str, str]]:
    """A counter as a series, and its first value that Prometheus knows."""
    series, first = names.of(counter.name), names.of(f"{counter.name}_{_SEEN}")
    total = _summed(counter, counter.metric, by)
    if counter.less is not None:
        total = f"{total}\n- {_summed(counter, counter.less, by)}"
    yield series, f"{total}\nor {names.of('none' if by else 'zero')}"
    # It reads itself: what it said before stays.
    yield first, f"{first} or {series}"


def window_rule(names: Names, counter: Counter, length: timedelta, by: Sequence[By]) -> tuple[str, str]:
    """How much a counter grew, since the latest of: a resolve, the window's start, our first look.

    A CLI type that was not there at the window's start, when its broker was, began with 0.
    """
    series, ago = names.of(counter.name), duration(length)
    starts = [f"last_over_time({series}_at_resolve[{ago}])", f"{series} offset {ago}"]
    if by:
        starts.append(f"0 * {series} and {ignoring(by)}{names.of('zero')} offset {ago}")
    starts.append(f"{series}_{_SEEN}")
    start = "\n  or ".join(starts)
    grown = f"{series} - (\n  {start}\n)"
    if counter.also is not None:
        late = f"{_summed(counter, counter.also, by)} or {names.of('none' if by else 'zero')}"
        grown = f"{grown}\n+ ({late})"
    return names.window(counter, length), grown


def ratio_rule(names: Names, ratio: Ratio) -> tuple[str, str]:
    """A share of what grew; no number, which compares with nothing, where nothing did."""
    part, *whole = (names.window(counter, ratio.length) for counter in (ratio.part, *ratio.of))
    divisor = whole[0] if len(whole) == 1 else f"({' + '.join(whole)})"
    return names.of(f"{ratio.name}_{duration(ratio.length)}"), f"{part}\n/ {divisor}"


def _summed(counter: Counter, metric: str, by: Sequence[By]) -> str:
    return without((*counter.summed_over, *(() if by else (By.CLI_TYPE,))), metric)


def _quick(view: View) -> str:
    return f'headless_execution_duration_seconds_bucket{{le="{_seconds(view)}"}}'


def _seconds(view: View) -> str:
    """As the broker writes an edge of its histogram."""
    assert view.within is not None  # noqa: S101 - of latency alone
    return str(view.within / MILLISECOND / 1000)


def _in(view: View) -> str:
    assert view.within is not None  # noqa: S101 - of latency alone
    return f"_within_{metric_word(f'{view.within / MILLISECOND / 1000:g}')}s"


def _labels(selector: str) -> tuple[str, ...]:
    return (selector.partition("=")[0].rstrip("~"),)
