"""Which kinds of failure may be tried once more, and how often: as people write it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from kokino.agents.failures import FINAL, FailureKind
from kokino.config import Whole
from kokino.validation import hint

_AGAIN = [kind.value for kind in FailureKind if kind not in FINAL]


def _known(value: object) -> object:
    if value in _AGAIN:
        return value
    if value in list(FINAL):
        raise ValueError(f"is never tried again, whatever is configured; known: {', '.join(sorted(_AGAIN))}")
    raise ValueError(f"is no kind of failure; {hint(str(value), _AGAIN)}")


#: From a kind of failure to a number of further tries.
Retries = dict[
    Annotated[FailureKind, BeforeValidator(_known)],
    Annotated[Whole, Field(ge=0, le=10)],
]
