"""What holds for every test: the order of the ladder, the event loop, and the fixtures in tests/fixtures.

Coroutine tests run under anyio without a marker (``anyio_mode`` in pyproject.toml).
"""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from hypothesis import settings

# What is loaded and collected stays to the end; to look for garbage in it took an eighth of all time.
gc.disable()

HERE = Path(__file__).resolve().parent
LADDER = ("unit", "integration", "acceptance")
#: Files that take longest go first on their rung, so that no worker is left alone with one at the end.
LONGEST = frozenset(
    {
        "test_alerts_cli",
        "test_causes",
        "test_conformance",
        "test_demo",
        "test_doctor",
        "test_incident",
        "test_kill_loop",
        "test_restart",
        "test_specification",
        "test_tmux",
    }
)

pytest_plugins = [f"tests.fixtures.{path.stem}" for path in sorted(HERE.glob("fixtures/[!_]*.py"))]

# No deadline: how long an example takes says something of the machine, not of the code.
settings.register_profile("quick", max_examples=25, deadline=None)
settings.register_profile("nightly", max_examples=1000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The product runs on asyncio alone, and so do its tests."""
    return "asyncio"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put cheap tests first."""
    items.sort(key=_rung)


def pytest_collection_finish() -> None:
    """From here on garbage is looked for in what tests make."""
    gc.freeze()
    gc.enable()


def _rung(item: pytest.Item) -> tuple[int, bool]:
    folder = item.path.relative_to(HERE).parts[0]
    rung = LADDER.index(folder) if folder in LADDER else len(LADDER)
    return rung, item.path.stem not in LONGEST
