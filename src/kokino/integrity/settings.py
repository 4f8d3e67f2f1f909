"""``[integrity]``."""

from __future__ import annotations

from datetime import time, timedelta

from pydantic import Field, field_validator

from kokino.config import Length, Settings, Whole
from kokino.integrity.schedule import parse_time


class IntegritySettings(Settings):
    """``[integrity]``: the nightly check of the database, and its backups."""

    at: str = Field(
        "03:30",
        description="when it runs, in calendar.timezone, or off; a night that was missed is made up for",
    )
    backups: Whole = Field(
        7,
        ge=0,
        le=1000,
        description="SQLite: how many nightly backups are kept, each made after a clean check; 0 makes none",
    )

    keep_asked: Length = Field(
        timedelta(days=90),
        ge=timedelta(days=1),
        description="SQLite: how long backups of cleanups, and those that were asked for, are kept",
    )

    @field_validator("at")
    @classmethod
    def _is_a_time(cls, value: str) -> str:
        parse_time(value)
        return value

    @property
    def time(self) -> time | None:
        """When it runs; None where it never does."""
        return parse_time(self.at)
