"""``/api/integrity/foreign-turns``: what no execution accounts for, and what a person decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query
from pydantic import Field, model_validator

from kokino.api.integrity_shapes import CheckedShape, checked_shape
from kokino.api.routing import router_of
from kokino.api.services import Caller, Given
from kokino.api.shapes import Body, Page, Shape, Time
from kokino.integrity import deciding
from kokino.integrity.deciding import Choice, Decided, Looked

router = router_of("integrity", prefix="/api/integrity/foreign-turns")


class AcceptanceShape(Shape):
    """That somebody took a turn as it is."""

    at: Time
    by: str
    reason: str


class ForeignTurnShape(Shape):
    """A turn whose execution is not there, or ran for another agent than its conversation's."""

    turn_id: str
    conversation_id: str
    agent_id: str
    #: Its place in the conversation.
    number: int
    execution_id: str
    #: For whom the execution ran; null where it is not there.
    execution_agent_id: str | None
    role: str
    said_at: Time
    #: How what was said begins, and how many characters it has.
    excerpt: str
    length: int
    #: Null where a check counts it.
    accepted: AcceptanceShape | None


class DecisionBody(Body):
    """Which turns, and why. Either ``turnIds`` or ``all``."""

    turn_ids: Annotated[Sequence[str], Field(max_length=1000)] = ()
    #: All that are not accepted, if there are as many as this: the number that you have seen.
    all: Annotated[int, Field(ge=1)] | None = None
    #: Kept with the decision.
    reason: Annotated[str, Field(min_length=1, max_length=1000)]
    #: Who decides; whoever asks, unless said.
    by: Annotated[str, Field(min_length=1, max_length=200)] | None = None

    @model_validator(mode="after")
    def _says_which(self) -> DecisionBody:
        if bool(self.turn_ids) == (self.all is not None):
            raise ValueError("say which turns: turnIds, or all with their number")
        return self

    @property
    def choice(self) -> Choice:
        """The turns that are meant."""
        return Choice(turn_ids=self.turn_ids, everything=self.all)


class RemovalBody(DecisionBody):
    """Which turns are to be deleted, and why."""

    #: PostgreSQL: where the backup is that you have made; without one nothing is deleted.
    backup: Annotated[str, Field(min_length=1, max_length=1000)] | None = None


class DecidedShape(Shape):
    """What came of a decision."""

    #: Turns that were accepted, without those that were already, or deleted.
    turns: int
    #: Where the backup is that holds what was deleted; null where nothing was.
    backup: str | None
    #: Nothing is wrong now.
    passed: bool
    #: The check afterwards.
    check: CheckedShape


@router.get("")
async def page(
    given: Given, limit: Annotated[int, Query(ge=1, le=1000)] = 100, cursor: str | None = None
) -> Page[ForeignTurnShape]:
    """Turns that no execution accounts for, by their ids; those that were accepted too."""
    found = await deciding.foreign_turns(given.storage, after=cursor, limit=limit + 1)
    more = found[limit - 1].turn.turn_id if len(found) > limit else None
    return Page(items=[_turn(one) for one in found[:limit]], next_cursor=more)


@router.post("/accept")
async def accept(given: Given, caller: Caller, body: DecisionBody) -> DecidedShape:
    """Take them as they are: no check counts them any more. Who, when and why is kept; then comes a check."""
    return _decided(
        await deciding.accept(given.integrity, body.choice, reason=body.reason, by=body.by or caller.subject)
    )


@router.post("/remove")
async def remove(given: Given, caller: Caller, body: RemovalBody) -> DecidedShape:
    """Make a backup, delete them, and check again; accepted ones may be deleted too.

    A damaged file is left alone and refused with 409. On PostgreSQL a backup of yours must be named.
    """
    return _decided(
        await deciding.remove(
            given.integrity,
            body.choice,
            reason=body.reason,
            reference=body.backup,
            by=body.by or caller.subject,
        )
    )


def _turn(looked: Looked) -> ForeignTurnShape:
    turn, accepted = looked.turn, looked.acceptance
    return ForeignTurnShape(
        turn_id=turn.turn_id,
        conversation_id=turn.conversation_id,
        agent_id=turn.agent_id,
        number=turn.number,
        execution_id=turn.execution_id or "",
        execution_agent_id=turn.execution_agent_id,
        role=turn.role.value,
        said_at=turn.said_at,
        excerpt=turn.excerpt,
        length=turn.length,
        accepted=None if accepted is None else AcceptanceShape.model_validate(accepted),
    )


def _decided(decided: Decided) -> DecidedShape:
    return DecidedShape(
        turns=decided.turns,
        backup=decided.backup,
        passed=decided.after.passed,
        check=checked_shape(decided.after),
    )
