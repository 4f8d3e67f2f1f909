"""``/api/silences``: alerts that tell nobody for a while."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Query
from pydantic import AliasChoices, Field, StringConstraints, model_validator

from kokino.alerts import silence_store
from kokino.alerts.matcher import Matcher
from kokino.alerts.silence import Silence
from kokino.api.routing import router_of
from kokino.api.services import Caller, Given
from kokino.api.shapes import Body, Page, Shape, Time, utc
from kokino.config import Length

router = router_of("alerts", prefix="/api/silences")


class MatcherBody(Body):
    """A label of an alert, and what it must be."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    value: Annotated[str, Field(max_length=1000)]
    #: `value` is a regular expression (RE2) that the whole label must match.
    is_regex: bool = False
    #: False: it must not.
    is_equal: bool = True


class SilenceBody(Body):
    """What is to be quiet, until when and why."""

    #: All must fit: a label of the alert, or ``alert`` (its id), ``rule``, ``severity``, ``owner``.
    matchers: Annotated[list[MatcherBody], Field(default_factory=list, max_length=20)]
    #: One alert, instead of matchers.
    alert_id: Annotated[str, Field(min_length=1, max_length=160)] | None = None
    comment: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
    #: The caller's own name where it is left out; ``createdBy`` is understood too.
    by: Annotated[
        str | None, Field(validation_alias=AliasChoices("by", "createdBy"), min_length=1, max_length=100)
    ] = None
    #: Until an instant, or for a length of time: ``2h``. Without either it lasts until what it keeps quiet is
    #: resolved, and as long as ``alerting.longest_silence`` at most.
    ends_at: datetime | None = None
    lasts: Length | None = None

    @model_validator(mode="after")
    def _is_clear(self) -> SilenceBody:
        if (self.alert_id is None) == (not self.matchers):
            raise ValueError("give matchers or alertId, one of them")
        if self.ends_at is not None and self.lasts is not None:
            raise ValueError("give endsAt or lasts, not both")
        return self

    def end(self, now: datetime) -> datetime | None:
        """When it ends; None where that is left to the alerts."""
        if self.lasts is not None:
            # No silence is allowed to last so long; a longer one would not even be a date.
            return now + min(self.lasts, timedelta(days=36500))
        return None if self.ends_at is None else utc(self.ends_at)


class MatcherShape(Shape):
    """A label of an alert, and what it must be."""

    name: str
    value: str
    is_regex: bool
    is_equal: bool


class SilenceShape(Shape):
    """A silence."""

    silence_id: str
    matchers: list[MatcherShape]
    comment: str
    created_by: str
    created_at: Time
    ends_at: Time
    until_resolved: bool
    #: When it was ended before its time; null where it was not.
    ended_at: Time | None
    active: bool


class MadeShape(SilenceShape):
    """A silence that was just made."""

    #: How many of the alerts that fire now it keeps quiet.
    alerts: int


@router.get("")
async def page(
    given: Given,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: Annotated[str, Query(max_length=160)] | None = None,
    *,
    active: bool = False,
) -> Page[SilenceShape]:
    """Silences, the newest first; with ``active=true`` only those that keep alerts quiet now."""
    now = given.clock.now()
    if active:
        found = await given.storage.read(lambda conn: silence_store.active(conn, now=now))
        return Page(items=[_shape(one, now) for one in found])
    found = await given.storage.read(lambda conn: silence_store.page(conn, limit=limit + 1, after=cursor))
    more = found[limit - 1].silence_id if len(found) > limit else None
    return Page(items=[_shape(one, now) for one in found[:limit]], next_cursor=more)


@router.post("", status_code=201)
async def create(body: SilenceBody, given: Given, caller: Caller) -> MadeShape:
    """Keep alerts quiet. They fire and are shown all the same, and tell nobody."""
    by, ends_at = body.by or caller.subject, body.end(given.clock.now())
    if body.alert_id is not None:
        made = await given.silencing.silence_alert(
            body.alert_id, by=by, comment=body.comment, ends_at=ends_at
        )
    else:
        matchers = [Matcher(**one.model_dump()) for one in body.matchers]
        made = await given.silencing.silence(
            matchers, by=by, comment=body.comment, ends_at=ends_at, until_resolved=ends_at is None
        )
    alerts = await given.silencing.keeping_quiet(made)
    return MadeShape(**_shape(made, given.clock.now()).model_dump(), alerts=alerts)


@router.get("/{silence_id}")
async def one(silence_id: str, given: Given) -> SilenceShape:
    """One silence."""
    found = await given.storage.read(lambda conn: silence_store.get(conn, silence_id))
    return _shape(found, given.clock.now())


@router.delete("/{silence_id}")
async def end(silence_id: str, given: Given) -> SilenceShape:
    """Take a silence back: what it kept quiet and still fires tells people at once. Idempotent."""
    ended = await given.silencing.end(silence_id)
    return _shape(ended, given.clock.now())


def _shape(silence: Silence, now: datetime) -> SilenceShape:
    return SilenceShape(
        silence_id=silence.silence_id,
        matchers=[MatcherShape.model_validate(matcher) for matcher in silence.matchers],
        comment=silence.comment,
        created_by=silence.created_by,
        created_at=silence.created_at,
        ends_at=silence.ends_at,
        until_resolved=silence.until_resolved,
        ended_at=silence.ended_at,
        active=silence.is_active(now),
    )
