"""Small words of PromQL."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

_UNITS = (
    ("d", timedelta(days=1)),
    ("h", timedelta(hours=1)),
    ("m", timedelta(minutes=1)),
    ("s", timedelta(seconds=1)),
    ("ms", timedelta(milliseconds=1)),
)


def duration(length: timedelta) -> str:
    """``5m``, ``1h``, ``90s``: in the largest unit that fits without a rest."""
    if not length:
        return "0s"
    unit, size = next((unit, size) for unit, size in _UNITS if not length % size)
    return f"{length // size}{unit}"


def literal(text: str) -> str:
    """`text` where Prometheus reads a template: in labels and annotations of alerts."""
    return text.replace("{{", '{{"{{"}}')


def number(value: float) -> str:
    """As Prometheus reads it back to the same double; whole ones without a point."""
    return str(int(value)) if value == int(value) else repr(float(value))


def without(labels: Iterable[str], expression: str, *, by: str = "sum") -> str:
    """`expression` summed over some labels; those of the scraped target always stay."""
    return f"{by} without ({', '.join(labels)}) ({expression})"


def ignoring(labels: Iterable[str]) -> str:
    """How one series of a target is matched with many that have more labels; empty for none."""
    named = ", ".join(labels)
    return f"ignoring ({named}) " if named else ""


def any_of(expressions: Iterable[str]) -> str:
    """Holds where one of them does."""
    return "\nor\n".join(expressions)
