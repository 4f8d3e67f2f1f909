"""A doctor with a warden of its own, whose agents inherit nothing of this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from kokino.doctor.examiner import Examiner
from kokino.doctor.settings import DoctorSettings
from kokino.executions.model import Execution
from kokino.process.client import Warden


@asynccontextmanager
async def an_examiner(folders: pytest.TempPathFactory, *, timeout: timedelta) -> AsyncIterator[Examiner]:
    """One that gives each check so long."""
    warden = await Warden.attach(folders.mktemp("w"))
    home = folders.mktemp("home")
    try:
        yield Examiner(
            settings=DoctorSettings(timeout=timeout),
            warden=warden,
            spool=folders.mktemp("spool"),
            environment={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home)},
            home=home,
            ask=_nobody,
        )
    finally:
        await warden.close()


async def _nobody(cli_type: str) -> Execution:
    """No prompt is wanted here."""
    raise AssertionError(cli_type)
