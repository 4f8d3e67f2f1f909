"""``[doctor]``: when CLI types are looked at, and how closely."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Literal

from pydantic import Field

from kokino.config import Length, Settings


class DryRun(StrEnum):
    """How a CLI is tried out."""

    #: It tells its version: that loads the program, costs nothing and needs no network.
    VERSION = "version"
    #: It answers a short prompt, which may cost money: that proves login, quota and network too.
    PROMPT = "prompt"
    OFF = "off"


class DoctorSettings(Settings):
    """``[doctor]``: when CLI types are looked at, and how closely."""

    at_start: bool = Field(True, description="look at every CLI type that has agents when the broker starts")
    every: Length = Field(
        timedelta(hours=1),
        ge=timedelta(minutes=1),
        description="how often they are looked at; 1 minute at least",
    )
    again: Length = Field(
        timedelta(minutes=5),
        ge=timedelta(seconds=10),
        description="how soon they are looked at again while one is unwell; 10 seconds at least",
    )
    timeout: Length = Field(
        timedelta(seconds=20),
        ge=timedelta(milliseconds=100),
        le=timedelta(minutes=5),
        description="how long each check may take; a CLI that does not answer is ended with its processes",
    )
    optional: list[Literal["binary", "environment", "auth", "disk", "dryrun"]] = Field(
        [], description="checks whose failure is shown and raises nothing, where they are wrong for a setup"
    )
    dry_run: DryRun = Field(
        DryRun.VERSION,
        description="version: each CLI tells its version, free and offline; prompt: it answers a prompt,"
        " which may cost money; off: it is not started",
    )
