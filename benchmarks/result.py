"""What a benchmark is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from benchmarks.statistics import Interval


class Unit(StrEnum):
    """What a figure counts."""

    RATIO = "x"
    MILLISECONDS = "ms"
    PER_SECOND = "1/s"
    PER_MONTH = "in 30 d"
    MINUTES = "min"
    PERCENT = "%"
    MEBIBYTES = "MiB"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number, with the interval that 95 % of the resampled runs fall in."""

    name: str
    unit: Unit
    interval: Interval
    #: True for what the benchmark is run for; the others say what it was made from.
    is_headline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A question that is answered by measuring."""

    name: str
    #: What is compared with what, in a sentence.
    question: str
    #: Measures inside a folder of its own. With True it only shows that it works: the figures mean nothing.
    run: Callable[[Path, bool], Coroutine[Any, Any, list[Figure]]]
