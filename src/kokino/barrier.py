"""A barrier around each of many: what one of them does wrong keeps none of the others from its turn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Self, TypeVar

import structlog

log = structlog.get_logger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")


class Faults(ExceptionGroup[Exception]):
    """What went wrong with single items; its message names each of them."""


class Barrier:
    """Holds what goes wrong until all have had their turn, then raises it: nothing fails unheard.

    Leaving the scope raises `Faults` with every error, unless the scope itself fails, which counts for more.
    """

    def __init__(self) -> None:
        self._errors: list[tuple[str, Exception]] = []

    async def each(
        self,
        items: Iterable[Item],
        do: Callable[[Item], Awaitable[Result]],
        *,
        name: Callable[[Item], str],
    ) -> list[Result]:
        """The results of `do` for each item, in order, but for those that failed; `name` says which did."""
        results: list[Result] = []
        for item in items:
            try:
                results.append(await do(item))
            except Exception as error:  # whatever it was, the other items have their turn
                log.exception("one of many failed", item=name(item))
                self._errors.append((name(item), error))
        return results

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._errors:
            said = "; ".join(f"{name}: {type(wrong).__name__}: {wrong}" for name, wrong in self._errors)
            raise Faults(said, [wrong for _, wrong in self._errors])
