"""The role that every channel plays."""

from __future__ import annotations

from typing import Protocol

from kokino.notify.model import Delivery, Receipt


class Channel(Protocol):
    """Carries deliveries to one receiver."""

    @property
    def name(self) -> str:
        """The receiver's name in the configuration."""
        ...

    @property
    def is_paging(self) -> bool:
        """True when it wakes a person: only such a channel counts as having reached someone for a P1."""
        ...

    async def send(self, delivery: Delivery) -> Receipt:
        """Make one attempt, within half a minute. What goes wrong is in the receipt, not raised."""
        ...
