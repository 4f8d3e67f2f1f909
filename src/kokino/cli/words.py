"""How the command line reads what people write."""

from __future__ import annotations

from datetime import timedelta

from kokino.errors import KokinoError
from kokino.lengths import parse_length


def parsed_length(option: str, said: str) -> timedelta:
    """The length of time that an option was given: ``30s``, ``7d``. Raises `KokinoError` for what is none."""
    try:
        found = parse_length(said)
    except ValueError as error:
        raise KokinoError(f"{option} {error}") from error
    assert isinstance(found, timedelta)  # noqa: S101 - parse_length gives nothing else for a text
    return found
