"""Series in the notation of promtool's unit tests: ``0+0x40 1 _``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from kokino.exports.ledger import Series
from kokino.exports.promql import number

#: Labels of which the rules look at few values: those that they do not name are left out.
_EDGES = ("le", "than")


def input_series(scrapes: Iterable[Mapping[Series, float]], rules: str) -> list[dict[str, str]]:
    """Every series that the text of the rules looks at, with its value in each scrape."""
    asked = frozenset(re.findall(r"\b(?:headless|kokino)_\w+", rules))
    rows = [{key: value for key, value in one.items() if key[0] in asked} for one in scrapes]
    keys = sorted({key for row in rows for key in row if _is_asked(key, rules)})
    return [{"series": selector(key), "values": values([row.get(key) for row in rows])} for key in keys]


def selector(series: Series) -> str:
    """``name{label="value"}``."""
    name, labels = series
    inside = ", ".join(f"{label}={json.dumps(value)}" for label, value in labels)
    return f"{name}{{{inside}}}" if inside else name


def values(found: Sequence[float | None]) -> str:
    """One value for each scrape, runs of one value in short; None where a series is not there."""
    return " ".join(_written(found))


def _written(found: Sequence[float | None]) -> Iterator[str]:
    was_there = False
    for value, group in groupby(found):
        length = len(list(group))
        if value is not None:
            yield f"{number(value)}+0x{length - 1}" if length > 1 else number(value)
        else:
            # As a scrape does where a series is gone; else it would be taken as it was for 5 minutes.
            if was_there:
                yield "stale"
                length -= 1
            if length:
                yield f"_x{length}"
        was_there = value is not None


def _is_asked(series: Series, rules: str) -> bool:
    return all(f'{label}="{value}"' in rules for label, value in series[1] if label in _EDGES)
