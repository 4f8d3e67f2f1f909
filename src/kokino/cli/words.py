"""How the command line reads what people write."""

from __future__ import annotations

from datetime import timedelta

from kokino.config import parse_length
from kokino.errors import KokinoError


def parsed_length(option: str, said: str) -> timedelta:
    """The length of time that an option was given: ``30s``, ``7d``. Raises `KokinoError` for what is none."""
    try:
        found = parse_length(said)
    except ValueError as error:
        raise KokinoError(f"{option} {error}") from error
    assert isinstance(found, timedelta)  # noqa: S101 - parse_length gives nothing else for a text
    return found
