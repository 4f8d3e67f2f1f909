"""What a person does about a fault, in the words that all findings share."""

from __future__ import annotations

from typing import Final

RESTORE: Final = "stop the broker and put a backup in its place: kokino integrity restore FILE"
#: How to bring back what a cleanup would have to invent.
LOOK_UP: Final = "compare with a backup; what it holds can be inserted by hand, or restore it"
RESTART: Final = "restart the broker (`kokino restart`): it takes over what runs and records the rest as lost"
DECIDE: Final = (
    "a person decides: `kokino integrity foreign` shows what they say, `kokino integrity accept` takes them"
    " as they are, `kokino integrity remove` deletes them"
)


def counted(count: int, noun: str) -> str:
    """``1 turn``, ``3 turns``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
