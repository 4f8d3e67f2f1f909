"""Whether headless can take over from tmux: five criteria, each with what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from kokino.shadow.figures import Figures
from kokino.shadow.model import Side
from kokino.telemetry.model import Counts

#: How long both sides have to have run side by side.
OBSERVED = timedelta(days=30)
HEADLESS_SUCCESS = 0.995
MATCH = 0.95
CORRUPTION = 0.001
#: Fewer comparisons cannot tell 99.5 % from 99 %: one failure of 199 is more than 0.5 % of them.
LEAST = 200


class Answer(StrEnum):
    """What the criteria together say."""

    READY = "ready"
    NOT_READY = "not_ready"
    NOT_ENOUGH_DATA = "not_enough_data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One condition for taking over."""

    id: str
    #: What is asked for, for a person.
    title: str
    #: What was measured; None where nothing was.
    value: float | None
    #: What it is held against.
    target: float
    #: None where there is not enough to say so.
    met: bool | None
    #: Both in words.
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The verdict, and why."""

    answer: Answer
    #: One sentence for a person.
    summary: str
    criteria: tuple[Criterion, ...]


def decide(found: Figures, checked: Counts, first_at: datetime | None, now: datetime) -> Decision:
    """`found` and `checked` (conversations without and with a fault) are of the last 30 days."""
    rates, count = found.rates, found.totals.comparisons
    criteria = (
        _observed(first_at, now),
        _share(
            "headless-success",
            f"headless succeeds in {HEADLESS_SUCCESS * 100:g} % or more",
            "headless succeeded in",
            rates.headless_success,
            HEADLESS_SUCCESS,
            count=count,
        ),
        _share(
            "match",
            f"{MATCH * 100:g} % or more match",
            "answers match in",
            rates.match,
            MATCH,
            count=count,
        ),
        _latency(found),
        _corruption(checked),
    )
    failed = [one for one in criteria if one.met is False]
    open_ = [one for one in criteria if one.met is None]
    if failed:
        return Decision(
            answer=Answer.NOT_READY,
            summary=f"Headless is not ready to take over: {_listed(failed)}.",
            criteria=criteria,
        )
    if open_:
        return Decision(
            answer=Answer.NOT_ENOUGH_DATA,
            summary=f"There is not enough data to decide: {_listed(open_)}.",
            criteria=criteria,
        )
    return Decision(
        answer=Answer.READY, summary="Headless can take over: every criterion is met.", criteria=criteria
    )


def _listed(criteria: list[Criterion]) -> str:
    return "; ".join(one.said for one in criteria)


def _observed(first_at: datetime | None, now: datetime) -> Criterion:
    days = 0.0 if first_at is None else (now - first_at) / timedelta(days=1)
    wanted = OBSERVED.days
    return Criterion(
        id="observed",
        title=f"compared for {wanted} days",
        value=round(days, 2),
        target=wanted,
        # Too short is no fault: it becomes long enough by itself.
        met=True if days >= wanted else None,
        said="nothing was compared yet" if first_at is None else f"compared for {days:.1f} of {wanted} days",
    )


def _share(id: str, title: str, what: str, rate: float | None, target: float, *, count: int) -> Criterion:
    """A share of all comparisons that has to be reached."""
    return Criterion(
        id=id,
        title=title,
        value=rate,
        target=target,
        met=_reached(rate, target, count),
        said=_rate(what, rate, count),
    )


def _reached(rate: float | None, target: float, count: int) -> bool | None:
    """Too few say nothing, unless even the best that could follow would not make up for them."""
    if rate is None:
        return None
    missed = round((1 - rate) * count)
    if missed > (1 - target) * max(count, LEAST):
        return False
    return True if count >= LEAST else None


def _rate(what: str, rate: float | None, count: int) -> str:
    if rate is None:
        return f"{what} nothing yet, of {LEAST} comparisons"
    few = f", and {LEAST} are needed" if count < LEAST else ""
    return f"{what} {int(rate * 10000) / 100:g} % of {count:,}{few}"


def _latency(found: Figures) -> Criterion:
    tmux, headless = found.latency[Side.TMUX], found.latency[Side.HEADLESS]
    is_measured = tmux.p95_ms is not None and headless.p95_ms is not None
    ratio = headless.p95_ms / max(tmux.p95_ms, 1) if is_measured else None  # type: ignore[operator,type-var]
    met = None if ratio is None or tmux.count < LEAST else ratio < 1
    few = f", of {tmux.count:,}; {LEAST} are needed" if tmux.count < LEAST else ""
    return Criterion(
        id="latency",
        title="headless is faster (p95)",
        value=None if ratio is None else round(ratio, 4),
        target=1.0,
        met=met,
        said="no latency was measured"
        if ratio is None
        else f"p95 is {_seconds(headless.p95_ms)} headless and {_seconds(tmux.p95_ms)} by tmux{few}",
    )


def _corruption(checked: Counts) -> Criterion:
    share = checked.bad / checked.total if checked.total else None
    return Criterion(
        id="corruption",
        title=f"under {CORRUPTION * 100:g} % of conversations have a fault",
        value=share,
        target=CORRUPTION,
        met=None if share is None else share < CORRUPTION,
        said="no integrity check has run"
        if share is None
        else f"{checked.bad:,} of {checked.total:,} checked conversations have a fault",
    )


def _seconds(ms: int | None) -> str:
    return "unknown" if ms is None else f"{ms / 1000:.1f} s"
