"""``kokino demo``: an outage, from the first failure to the written incident."""

from __future__ import annotations


def demo() -> None:
    """Placeholder."""
