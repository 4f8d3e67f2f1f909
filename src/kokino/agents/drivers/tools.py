"""The tools of one execution, as its records tell of them: what runs, what is called again and again."""

from __future__ import annotations

from kokino.agents.drivers.text import one_line

#: Stands for a call that runs and has no id yet.
FORETOLD = "(foretold)"
#: So many calls are kept that have begun and not ended. One that an agent has forgotten never ends.
REMEMBERED = 1000
#: A call is shown with so much of its input, in characters: enough to know it by.
SHOWN = 160


class ToolCalls:
    """Follows the calls of one execution; fed by its reader."""

    def __init__(self) -> None:
        #: Calls so far. Once it is above 0 the execution may have changed something.
        self.count = 0
        #: How many times in a row the last call came with exactly the same input; 0 before the first call.
        self.repeats = 0
        self._running: dict[str, str] = {}
        self._last: tuple[str, bytes] | None = None
        #: The id of the last call, and what `_last` and `repeats` were before it.
        self._last_id = ""
        self._before: tuple[tuple[str, bytes] | None, int] = (None, 0)

    def begin(self, id: str, name: str, input: bytes = b"") -> None:
        """A call begins; `input` as the CLI wrote it. Told twice under one id it counts once."""
        if id in self._running:
            return
        self.count += 1
        self._last_id, self._before = id, (self._last, self.repeats)
        self._compare(name, input)
        self._running[id] = _shown(name, input)
        if len(self._running) > REMEMBERED:
            self._running.pop(next(iter(self._running)))

    def amend(self, id: str, name: str, input: bytes = b"") -> None:
        """A call that runs is told more exactly than when it began."""
        if id in self._running:
            self._running[id] = _shown(name, input)
            if id == self._last_id:
                self._compare(name, input)

    def end(self, id: str) -> None:
        """A call has its result."""
        self._running.pop(id, None)

    def foretell(self, name: str, input: bytes = b"") -> None:
        """Something runs that is told as a call only once it is done: it is shown until then, not counted."""
        self._running[FORETOLD] = _shown(name, input)

    def end_foretold(self) -> None:
        """Whatever was foretold is done."""
        self.end(FORETOLD)

    def clear(self) -> None:
        """The CLI has said its last word: nothing can run any more."""
        self._running.clear()

    @property
    def running(self) -> str | None:
        """The call that was begun last of those that run, such as ``Bash {"command":"make"}``."""
        return next(reversed(self._running.values()), None)

    def _compare(self, name: str, input: bytes) -> None:
        last, repeats = self._before
        self.repeats = repeats + 1 if (name, input) == last else 1
        self._last = (name, input)


def _shown(name: str, input: bytes) -> str:
    said = input[: 4 * SHOWN].decode("utf-8", "replace")
    return one_line(f"{name} {said}", limit=SHOWN)
