"""The pages over a database of each kind."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from kokino.storage import Storage
from tests.integration.web.outage import Outage


@pytest.fixture
def outage(storage: Storage) -> Outage:
    """An empty database, and what can be put into it."""
    return Outage(storage)


@pytest.fixture
async def http(outage: Outage) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the pages."""
    transport = httpx.ASGITransport(outage.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client
