"""From the start of a CLI in a terminal to the prompt to type at: its questions on the way are answered."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from kokino.agents.drivers.contract import Look, Sight
from kokino.agents.failures import FailureKind
from kokino.executions.terminal.looks import Looks
from kokino.executions.terminal.stranded import Stranded, quoted
from kokino.process.tmux.terminal import Screen

log = structlog.get_logger(__name__)

#: How many looks a CLI may take to be ready: the slowest known takes four seconds, and a machine may be busy.
UNTIL_READY = 600
#: So many looks without a change: a CLI of which only the screen tells is ready.
QUIET = 15
#: A dialog that has been answered is not answered again for so many looks: a busy machine draws late, and the
#: next dialog must not get what was meant for this one.
UNTIL_ANSWERED = 50


@dataclass(slots=True)
class Answered:
    """Which dialog was answered last, by its name."""

    _says: str = ""
    #: Looks since.
    _looked: int = 0

    def may_answer(self, look: Look, *, is_steady: bool) -> bool:
        """True for a dialog that is drawn, and is not one whose answer is on its way."""
        self._looked += 1
        is_known = look.says == self._says and self._looked < UNTIL_ANSWERED
        if look.sight is not Sight.DIALOG or is_known or not is_steady:
            return False
        self._says, self._looked = look.says, 0
        return True


@dataclass(frozen=True, slots=True)
class Ready:
    """The screen to type at."""

    screen: Screen
    #: What stands in its box where nobody has typed: a hint, perhaps.
    box: str | None


async def become_ready(looks: Looks, *, is_blind: bool, execution_id: str) -> Ready:
    """Return when a prompt can be typed. Raises `Stranded`.

    `is_blind` where only the screen tells anything: then it must be still, and ask nothing.
    """
    quiet, last, answered = 0, "", Answered()
    async for screen, look in looks.most(UNTIL_READY):
        quiet, last = (quiet + 1 if screen.text == last else 0), screen.text
        # What passes while a CLI starts is no question yet where only a still screen tells anything.
        is_drawn = not is_blind or (bool(screen.text) and quiet >= QUIET)
        if look.sight is Sight.HOPELESS and is_drawn:
            shown = f"; its screen: {quoted(last)}" if is_blind else ""
            raise Stranded(look.kind or FailureKind.PROTOCOL, f"{look.says}{shown}")
        if is_drawn and (look.sight is Sight.READY or (is_blind and look.sight is not Sight.WORKING)):
            return Ready(screen, look.box)
        if answered.may_answer(look, is_steady=quiet > 0):
            log.info("answering a dialog of a CLI", dialog=look.says, execution=execution_id)
            await looks.press(look.keys)
    raise Stranded(FailureKind.PROTOCOL, f"it shows no prompt to type at; its screen: {quoted(last)}")
