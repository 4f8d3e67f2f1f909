"""The page about executions tells of every kind of failure, and of none that does not exist."""

import re
from pathlib import Path

from kokino.agents.failures import FailureKind

PAGE = Path(__file__).resolve().parents[3] / "docs" / "executions.md"


def test_every_kind_has_its_row_and_every_row_its_kind() -> None:
    """In one table, which people look words up in."""
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(FailureKind)
