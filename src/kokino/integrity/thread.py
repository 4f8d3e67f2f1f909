"""What blocks for long, off the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence


async def in_thread(do: Callable[[threading.Event], Sequence[str] | None]) -> Sequence[str]:
    """Run what blocks in a thread of its own; it is told when nobody waits for it any more."""
    given_up = threading.Event()
    try:
        return await asyncio.to_thread(do, given_up) or ()
    finally:
        given_up.set()
