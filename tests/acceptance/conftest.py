"""What several stories begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.acceptance.outage import Outage, outage


@pytest.fixture
async def story(tmp_path: Path) -> AsyncIterator[Outage]:
    """A fleet that is well."""
    async with outage(tmp_path / "home") as started:
        yield started
