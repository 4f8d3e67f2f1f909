"""The permissions that a CLI asks for on its screen while it works."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from kokino.agents.drivers.contract import Interactive, Look, PermissionRequest, Sight
from kokino.agents.model import Permissions
from kokino.clock import Clock
from kokino.errors import Conflict, Fault, Invalid
from kokino.executions.model import Waiting
from kokino.process.tmux.terminal import Terminal

#: A question that was answered is drawn for so many looks longer, at the most; then the key was not taken.
UNTIL_TAKEN = 8


@dataclass(slots=True)
class Questions:
    """Shown to people, and answered by them or as the agent is set."""

    terminal: Terminal
    form: Interactive
    permissions: Permissions
    clock: Clock
    #: Writes down what it waits for, None for nothing.
    note: Callable[[Waiting | None], Awaitable[None]]
    #: Called when it waits no more.
    woke: Callable[[], None]
    waiting: Waiting | None = None
    #: Its work rests on a question, as far as its screen has told.
    was_asking: bool = False
    #: The question that was answered last, and for how many looks it has stood there since.
    _answered: str | None = None
    _unheard: int = 0
    #: One answer at a time: the second sees what became of the first.
    _answering: asyncio.Lock = field(default_factory=asyncio.Lock)

    def speak(self) -> None:
        """Nothing: it is spoken with by keys."""

    async def see(self, look: Look) -> None:
        """Take in what the screen asks."""
        if look.sight in {Sight.ASKING, Sight.WORKING}:
            self.was_asking = look.sight is Sight.ASKING
        asked = look.asks
        self._unheard = self._unheard + 1 if asked is not None and asked.id == self._answered else 0
        if self._unheard and self._unheard < UNTIL_TAKEN:
            return  # it is answered, and still drawn
        self._answered = None
        if asked is None or self.permissions is Permissions.ASK:
            await self._wait_for(asked)
        else:
            await self._answer_as_set(asked)

    async def answer(self, option_id: str, request_id: str | None) -> None:
        """Answer what it waits for. Raises `Conflict` and `Invalid`."""
        async with self._answering:
            request = self._waited_for(option_id, request_id)
            # Since the last look somebody may have answered by hand: the key must not answer the next one.
            shown = self.form.look((await self.terminal.screen()).text).asks
            if shown is None or shown.id != request.id:
                raise _over(request.id)
            self._answered = request.id
            await self.terminal.keys(option_id)
            await self._wait_for(None)

    def _waited_for(self, option_id: str, request_id: str | None) -> PermissionRequest:
        if self.waiting is None:
            raise Conflict("it waits for no permission: somebody has answered, or it has gone on by itself")
        request = self.waiting.request
        if request_id not in {None, request.id}:
            raise _over(str(request_id))
        known = {option.id for option in request.options}
        if option_id not in known:
            message = f"{option_id!r} is none of its answers: {', '.join(sorted(known))}"
            raise Invalid(message, [Fault(field="optionId", message=message)])
        return request

    async def _answer_as_set(self, asked: PermissionRequest) -> None:
        wanted = "allow_once" if self.permissions is Permissions.ALLOW else "reject_once"
        option = next((option for option in asked.options if option.kind == wanted), asked.options[-1])
        self._answered = asked.id
        await self.terminal.keys(option.id)

    async def _wait_for(self, asked: PermissionRequest | None) -> None:
        waited = self.waiting.request.id if self.waiting else None
        if waited == (asked.id if asked else None):
            return
        self.waiting = None if asked is None else Waiting(request=asked, since=self.clock.now())
        if asked is None:
            self.woke()
        await self.note(self.waiting)


def _over(request_id: str) -> Conflict:
    return Conflict(f"request {request_id!r} does not wait any more; look at what it waits for now")
