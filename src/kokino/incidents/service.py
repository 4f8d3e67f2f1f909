"""What people say about an incident, and do about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kokino.clock import Clock
from kokino.incidents import store
from kokino.storage import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentResponse:
    """Writes what people say into the timeline, with the change that it makes.

    Everything raises `NotFound` for an unknown incident.
    """

    storage: Storage
    clock: Clock
    #: Called after each entry: the document, pages and playbooks follow the timeline.
    on_change: Callable[[], None]

    async def note(self, number: int, *, by: str, text: str) -> None:
        """A remark."""
        await self._write(store.note, number, by, text=text)

    async def mitigate(self, number: int, *, by: str, text: str) -> None:
        """A repair holds: no further tier is told. Raises `Conflict` unless it is open."""
        await self._write(store.mitigate, number, by, text=text)

    async def review(self, number: int, *, by: str, text: str) -> None:
        """It was looked back on. Raises `Conflict` unless it is resolved."""
        await self._write(store.review, number, by, text=text)

    async def state_root_cause(self, number: int, *, by: str, text: str) -> None:
        """Why it happened; a later statement takes the place of an earlier one."""
        await self._write(store.state_root_cause, number, by, text=text)

    async def add_action_item(self, number: int, *, by: str, text: str) -> None:
        """Something is to be done so that it does not happen again."""
        await self._write(store.add_action_item, number, by, text=text)

    async def finish_action_item(self, number: int, *, by: str, index: int) -> None:
        """The action item at `index`, from 0, is done. Raises `NotFound` where there is none."""
        await self._write(store.finish_action_item, number, by, index=index)

    async def _write(self, change: Callable[..., Any], number: int, by: str, **said: Any) -> None:
        now = self.clock.now()
        await self.storage.write(lambda conn: change(conn, number, at=now, author=by, **said))
        self.on_change()
