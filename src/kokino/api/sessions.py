"""``/agents/sessions``: the sessions that agents resume, and those that nobody uses any more."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Query
from pydantic import Field, WithJsonSchema

from kokino.api.routing import router_of
from kokino.api.services import Given
from kokino.api.shapes import Body, Page, Shape, Time
from kokino.clock import MILLISECOND
from kokino.config import Length
from kokino.errors import Fault, Invalid
from kokino.executions.sessions import LONGEST_AGE, KnownSession

router = router_of("sessions")

#: As the configuration file writes it, which no JSON schema has a word for.
Age = Annotated[
    Length, Field(ge=timedelta(0), le=LONGEST_AGE), WithJsonSchema({"type": "string", "examples": ["7d"]})
]


class SessionShape(Shape):
    """A session: what an agent's next execution on that CLI type goes on with."""

    agent_id: str
    cli_type: str
    #: The vendor's id.
    session_id: str
    conversation_id: str
    #: Of the conversation: prompts and answers.
    turns: int
    created_at: Time
    used_at: Time
    #: Since it was last used.
    age_ms: int
    #: An execution uses it at this moment.
    in_use: bool


class CleanupBody(Body):
    """Which sessions to forget. Without an age those that ``sessions.max_age`` would sweep."""

    #: Not used for so long: ``"7d"``.
    max_age: Age | None = None
    #: The same in milliseconds.
    max_age_ms: Annotated[int, Field(ge=0, le=LONGEST_AGE // MILLISECOND)] | None = None
    #: Only this agent's.
    agent: str | None = None
    #: Only say which they are.
    dry_run: bool = False

    @property
    def longest(self) -> timedelta | None:
        """The age; None for the configured one. Raises `Invalid` when it was given twice."""
        if self.max_age is not None and self.max_age_ms is not None:
            message = "give maxAge or maxAgeMs, not both"
            raise Invalid(message, [Fault(field="maxAgeMs", message=message)])
        return self.max_age if self.max_age_ms is None else timedelta(milliseconds=self.max_age_ms)


class CleanupShape(Shape):
    """What a cleanup did, or would do."""

    dry_run: bool
    max_age_ms: int
    #: Forgotten; in a dry run, those that would have been.
    removed: list[SessionShape]
    kept: int
    #: Among the kept, those that are old enough and that an execution uses.
    kept_in_use: int


@router.get("/agents/sessions")
async def everyone(
    given: Given,
    agent: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: str = "",
) -> Page[SessionShape]:
    """The sessions of all agents, or of one, by agent and CLI type."""
    agent_id, _, cli_type = cursor.partition("/")  # which stands in no id
    known = [one for one in await given.sessions.everyone(agent) if one.key > (agent_id, cli_type)]
    now = given.clock.now()
    more = "/".join(known[limit - 1].key) if len(known) > limit else None
    return Page(items=[_shape(one, now) for one in known[:limit]], next_cursor=more)


@router.post("/agents/sessions/cleanup")
async def clean(body: CleanupBody, given: Given) -> CleanupShape:
    """Forget sessions that were not used for a while; the agents' next executions start fresh ones.

    Conversations stay, and so do the vendor's own files. What an execution uses is kept.
    """
    cleanup = await given.sessions.clean(max_age=body.longest, agent_id=body.agent, is_dry_run=body.dry_run)
    now = given.clock.now()
    return CleanupShape(
        dry_run=body.dry_run,
        max_age_ms=cleanup.max_age // MILLISECOND,
        removed=[_shape(one, now) for one in cleanup.removed],
        kept=cleanup.kept,
        kept_in_use=cleanup.kept_in_use,
    )


def _shape(known: KnownSession, now: datetime) -> SessionShape:
    session = known.session
    return SessionShape(
        agent_id=session.agent_id,
        cli_type=session.cli_type,
        session_id=session.session_id,
        conversation_id=session.conversation_id,
        turns=known.turns,
        created_at=session.created_at,
        used_at=session.used_at,
        age_ms=max(now - session.used_at, timedelta(0)) // MILLISECOND,
        in_use=known.is_in_use,
    )
