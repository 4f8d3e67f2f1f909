"""Decide whether an execution is run once more, and how that one knows what was said before."""

from __future__ import annotations

import hashlib

from kokino.shadow.model import Context

#: So many values a hash's first bytes can have.
_RANGE = 2**64


class NotComparable(Exception):
    """Nothing could be learned from a comparison, and why."""


def is_sampled(execution_id: str, share: float) -> bool:
    """Whether it is one of that share; the same answer for the same id, always and everywhere."""
    place = int.from_bytes(hashlib.sha256(execution_id.encode()).digest()[:8], "big")
    return place < share * _RANGE


def context_of(*, is_resume: bool, can_fork: bool, is_in_step: bool) -> Context:
    """How the shadow side gets the past that the agent's own session has. Raises `NotComparable`.

    `is_in_step` says that the shadow session has taken part in every turn of the conversation so far.
    """
    if not is_resume:
        return Context.FRESH
    if can_fork:
        return Context.FORK
    if is_in_step:
        return Context.CONTINUE
    raise NotComparable(
        "the shadow session has not heard all that was said before, and this CLI's sessions cannot be copied;"
        " both begin anew after POST /agents/{id}/end-session"
    )
