"""What pydantic finds wrong with values, as a person would say it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

_BOUNDS = {"ge": "at least", "gt": "longer than", "le": "at most", "lt": "shorter than"}
_WRITTEN = re.compile(r"datetime\.timedelta\((.*)\)")
_PART = re.compile(r"(days|seconds|microseconds)=(\d+)")
_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))

_TAG_FAULTS = frozenset({"union_tag_invalid", "union_tag_not_found"})
_LIST_FAULTS = frozenset({"list_type", "tuple_type", "set_type", "frozen_set_type"})


def causes(details: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """`ValidationError.errors()` without what only follows from others.

    A list whose every entry is wrong is called too short besides, for none of them was taken.
    """
    places = [detail["loc"] for detail in details]
    return [detail for detail in details if detail["type"] != "too_short" or not _has_inner(detail, places)]


def place(detail: Mapping[str, Any]) -> tuple[str | int, ...]:
    """Where one of them stands, in keys and places in lists; an unknown kind at the word for it."""
    # "[key]" is pydantic's own word for a key that is wrong.
    path = tuple(part for part in detail["loc"] if part != "[key]")
    return (*path, _discriminator(detail)) if detail["type"] in _TAG_FAULTS else path


def in_words(detail: Mapping[str, Any]) -> str:
    """One of them: ``must be at least 2h``."""
    if (said := _kind_in_words(detail)) is not None:
        return said
    if detail["type"] == "too_short":
        least = detail["ctx"]["min_length"]
        return "must hold at least one" if least == 1 else f"must hold at least {least}"
    if detail["type"] == "string_too_short":
        least = detail["ctx"]["min_length"]
        return "must not be empty" if least == 1 else f"must have at least {least} characters"
    if detail["type"] == "string_too_long":
        return f"must have at most {detail['ctx']['max_length']} characters"
    for name, value in detail.get("ctx", {}).items():
        # pydantic gives a length as Python would write it.
        if name in _BOUNDS and (found := _WRITTEN.fullmatch(str(value))):
            parts = {part: int(number) for part, number in _PART.findall(found[1])}
            return f"must be {_BOUNDS[name]} {as_setting(timedelta(**parts))}"
    return plain(str(detail["msg"]))


def hint(word: str, known: Collection[str]) -> str:
    """Which of the `known` words was meant by one that is none of them, else all of them.

    The API's spelling, ``queueTimeoutMs``, leads to the file's.
    """
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word).lower()
    near = difflib.get_close_matches(snake, known, n=1) or [
        one for one in known if snake.startswith(f"{one}_") or snake.endswith(f"_{one}")
    ]
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known)) or 'none'}"


def plain(message: str) -> str:
    """A message alone, where there is no more of it."""
    return message.removeprefix("Value error, ").replace("Input should be", "must be", 1)


def _kind_in_words(detail: Mapping[str, Any]) -> str | None:
    """What decides of what form a value is; None for other faults."""
    if detail["type"] == "union_tag_invalid":
        *others, last = detail["ctx"]["expected_tags"].split(", ")
        known = f"{', '.join(others)} or {last}" if others else last
        return f"must be {known}, not {detail['ctx']['tag']!r}"
    if detail["type"] == "union_tag_not_found":
        return "is missing"
    return "must be a list" if detail["type"] in _LIST_FAULTS else None


def _discriminator(detail: Mapping[str, Any]) -> str:
    return str(detail["ctx"]["discriminator"]).strip("'")


def _has_inner(detail: Mapping[str, Any], places: Sequence[tuple[Any, ...]]) -> bool:
    own = detail["loc"]
    return any(len(place) > len(own) and place[: len(own)] == own for place in places)


def as_setting(length: timedelta) -> str:
    """As a settings file writes it: ``2h``, ``90s``."""
    seconds = length.total_seconds()
    unit, size = next((one for one in _UNITS if seconds and not seconds % one[1]), _UNITS[-1])
    return f"{seconds / size:g}{unit}"
