"""What all answers have in common: camelCase names, UTC times with a Z, pages of lists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, ConfigDict, PlainSerializer, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError

from kokino.clock import from_ms, iso, to_ms
from kokino.errors import Invalid
from kokino.storage.text import storable

#: An instant in an answer: ``2026-01-05T09:00:00.000Z``.
Time = Annotated[datetime, PlainSerializer(iso, return_type=str, when_used="json-unless-none")]

#: Where a page of a list begins: ``nextCursor`` of the page before, within what a database counts to.
Cursor = Annotated[int, Query(ge=0, lt=2**63)]

#: NUL, which PostgreSQL and arguments refuse, and halves of surrogate pairs, which UTF-8 does.
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")

T = TypeVar("T")


class Shape(BaseModel):
    """Base of every answer."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)


class OptionShape(Shape):
    """One of the answers that a CLI offers."""

    id: str
    name: str
    #: ``allow_once``, ``allow_always``, ``reject_once`` or ``reject_always``.
    kind: str


class WaitingShape(Shape):
    """What a CLI waits for: somebody has to choose one of its options."""

    #: The CLI's own id of its request.
    id: str
    title: str
    options: list[OptionShape]
    since: Time


class Body(BaseModel):
    """Base of every request body: unknown fields are refused, so that a typing mistake is not ignored.

    So is what JSON can spell and no database, file name or argument can hold, wherever it stands.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _holds_text(cls, value: Any) -> Any:
        if faults := [_no_text(path, said) for path, said in _strings(value) if _NO_TEXT.search(said)]:
            raise ValidationError.from_exception_data(cls.__name__, faults)
        return value


def utc(instant: datetime) -> datetime:
    """An instant that somebody sent, as it is stored: in UTC, which it is in where it names no zone.

    Raises `Invalid` for one that is in no year from 1 to 9999 there.
    """
    try:
        return from_ms(to_ms(instant.replace(tzinfo=instant.tzinfo or UTC)))
    except OverflowError as error:
        raise Invalid(f"{instant.isoformat()} is no instant of the years 1 to 9999 in UTC") from error


def megabytes(size: int | None) -> float | None:
    """A size in bytes as people compare it."""
    return None if size is None else round(size / 1e6, 1)


class Page(Shape, Generic[T]):
    """One page of a list."""

    items: list[T]
    #: Pass it as ``cursor`` for the next page; null on the last.
    next_cursor: str | None = None


def _strings(value: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every text in `value`, keys too, with its place. No recursion: a body may nest deeper than a stack."""
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while waiting:
        path, found = waiting.pop()
        if isinstance(found, str):
            yield path, found
        elif isinstance(found, dict):
            for key, inner in found.items():
                yield path, str(key)
                waiting.append(((*path, key), inner))
        elif isinstance(found, list):
            waiting += [((*path, number), inner) for number, inner in enumerate(found)]


def _no_text(path: tuple[str | int, ...], said: str) -> InitErrorDetails:
    fault = "a NUL character" if "\x00" in said else "half a surrogate pair"
    error = PydanticCustomError("no_text", "holds {fault}, which is no text", {"fault": fault})
    # A key may be no text either, and the answer must be.
    place = tuple(storable(part) if isinstance(part, str) else part for part in path)
    return InitErrorDetails(type=error, loc=place, input=None)
