"""Lengths of time as people write them, in the configuration and on the command line."""

from __future__ import annotations

import contextlib
import re
from datetime import timedelta

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")


def parse_length(value: object) -> object:
    """``"90s"``, ``"5m"``, ``"1h"`` as a timedelta; anything else is left for pydantic to refuse."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str) and (found := _LENGTH.fullmatch(value.strip())):
        with contextlib.suppress(OverflowError):
            return timedelta(seconds=float(found[1]) * _UNITS[found[2]])
    raise ValueError('must be a length of time such as "30s", "5m" or "1h"')
