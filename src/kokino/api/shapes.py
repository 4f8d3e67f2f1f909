"""What all answers have in common: camelCase names, UTC times with a Z, pages of lists."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, PlainSerializer
from pydantic.alias_generators import to_camel

from kokino.clock import iso

#: An instant in an answer: ``2026-01-05T09:00:00.000Z``.
Time = Annotated[datetime, PlainSerializer(iso, return_type=str, when_used="json-unless-none")]

T = TypeVar("T")


class Shape(BaseModel):
    """Base of every answer."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)


class Body(BaseModel):
    """Base of every request body: unknown fields are refused, so that a typing mistake is not ignored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class Page(Shape, Generic[T]):
    """One page of a list."""

    items: list[T]
    #: Pass it as ``cursor`` for the next page; null on the last.
    next_cursor: str | None = None
