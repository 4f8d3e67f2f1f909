"""A dialogue under way: its words go to the CLI, and what it waits for is shown to people."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog

from kokino.agents.drivers.contract import Dialogue, Opening, PermissionRequest
from kokino.clock import Clock
from kokino.errors import Conflict, StorageError
from kokino.executions.attempts.channel import Channel
from kokino.executions.model import Waiting
from kokino.tasks import AFTER_FAILURE

log = structlog.get_logger(__name__)

#: How long a CLI that was told to cancel has to end by itself before its tree is ended, in seconds: the real
#: agents that were looked at took 0.03 to 0.3 to answer and up to 2.2 to exit.
POLITE = 2.0
#: How long after its last word the end of its input comes, in seconds: Qwen Code 0.15.10 exits there without
#: waiting for its own writes, and lost the answer from its session's history on a busy machine.
SETTLE = 0.5


@dataclass(slots=True)
class Exchange:
    """What one process of an execution and its broker have to say to each other."""

    dialogue: Dialogue
    channel: Channel
    clock: Clock
    #: Writes down what it waits for, None for nothing, so that everybody can see it.
    note: Callable[[Waiting | None], Awaitable[None]]
    #: Runs in the background what `note` takes.
    start: Callable[[Coroutine[Any, Any, None]], object]
    waiting: Waiting | None = None
    #: False before its first word, and for what an earlier broker spoke with.
    is_open: bool = False
    _is_cancelled: bool = False
    _ending: asyncio.TimerHandle | None = None
    _noted: Waiting | None = None
    _noting: asyncio.Lock = field(default_factory=asyncio.Lock)

    def open(self, opening: Opening) -> None:
        """Say the first words: the CLI listens."""
        self.is_open = True
        self.channel.handed_over()
        self.dialogue.open(opening)
        self.speak()

    def speak(self) -> None:
        """Pass on what there is to say; called whenever the dialogue has heard something."""
        if not self.channel.send(self.dialogue.to_send()):
            self.dialogue.unheard()
        if self.dialogue.is_final:
            self._end()
        pending = None if self.dialogue.is_final else self.dialogue.pending
        if pending is not (self.waiting.request if self.waiting else None):
            self._wait_for(pending)

    async def answer(self, option_id: str, request_id: str | None) -> None:
        """Answer what it waits for. Raises `Conflict` and `Invalid`; returns when that is written down.

        `request_id` tells which request is meant, so that no answer is taken for a question that nobody has
        seen; None means whichever waits.
        """
        if self.waiting is None:
            raise Conflict("it waits for no permission: somebody has answered, or it has gone on by itself")
        if request_id not in {None, self.waiting.request.id}:
            raise Conflict(f"request {request_id!r} does not wait any more; look at what it waits for now")
        self.dialogue.answer(option_id)
        self.speak()
        await self.tell()

    def cancel(self) -> None:
        """Ask the CLI to stop by itself."""
        self._is_cancelled = True
        self.dialogue.cancel()
        self.speak()

    async def tell(self) -> None:
        """Write down what it waits for, again and again while the database is away; the latest counts."""
        async with self._noting:
            while self._noted is not self.waiting:
                told = self.waiting
                try:
                    await self.note(told)
                except StorageError as error:
                    log.warning("what is waited for cannot be written; trying again", reason=error.message)
                    await asyncio.sleep(AFTER_FAILURE)
                else:
                    self._noted = told

    def _end(self) -> None:
        """Close its input, soon; at once where somebody waits for its end."""
        if self._is_cancelled:
            self.channel.end()
        elif self._ending is None:
            self._ending = asyncio.get_running_loop().call_later(SETTLE, self.channel.end)

    def _wait_for(self, pending: PermissionRequest | None) -> None:
        self.waiting = None if pending is None else Waiting(request=pending, since=self.clock.now())
        self.start(self.tell())
