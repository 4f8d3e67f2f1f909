"""How commands write what they were answered: for people or for programs."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer

from kokino.clock import SystemClock, spoken


class Format(StrEnum):
    """How an answer is written."""

    TABLE = "table"
    JSON = "json"


Written = Annotated[Format, typer.Option("--format", help="A table for people, JSON for programs.")]


def age_ms(said: str) -> int:
    """How long ago an instant of an answer was."""
    return max(0, (SystemClock().now() - datetime.fromisoformat(said)) // timedelta(milliseconds=1))


def instant(said: str) -> str:
    """An instant of an answer for people: ``2026-01-05 09:00:00 UTC``."""
    return spoken(datetime.fromisoformat(said))
