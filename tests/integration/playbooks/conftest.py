"""A warden of the test's own, for steps that really run."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kokino.process.client import Warden


@pytest.fixture
async def warden(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Warden]:
    """Ended, with all that it ran, when the test is over."""
    # A folder with a short name: a socket's path must stay below 107 bytes.
    opened = await Warden.attach(tmp_path_factory.mktemp("w") / "run")
    try:
        yield opened
    finally:
        await opened.close()
