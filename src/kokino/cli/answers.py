"""How commands write what they were answered: for people or for programs."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from kokino.clock import spoken


class Format(StrEnum):
    """How an answer is written."""

    TABLE = "table"
    JSON = "json"


Written = Annotated[Format, typer.Option("--format", help="A table for people, JSON for programs.")]


def instant(said: str) -> str:
    """An instant of an answer for people: ``2026-01-05 09:00:00 UTC``."""
    return spoken(datetime.fromisoformat(said))
