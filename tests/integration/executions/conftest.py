"""A queue on each database."""

from __future__ import annotations

import pytest

from kokino.storage import Storage
from tests.integration.executions.given import Queue


@pytest.fixture
def queue(storage: Storage) -> Queue:
    """An empty queue."""
    return Queue(storage)
