"""``/api/incidents``: what happened, and what people do about it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Path, Query, Response
from pydantic import Field
from sqlalchemy import Connection

from kokino.api.routing import router_of
from kokino.api.services import INCIDENTS, Caller, Given
from kokino.api.shapes import Body, Cursor, Page, Shape, Time
from kokino.incidents import store
from kokino.incidents.files import read_text
from kokino.incidents.model import Incident, IncidentState, incident_number
from kokino.playbooks import store as run_store

router = router_of("incidents", prefix="/api/incidents")

Text = Annotated[str, Field(min_length=1, max_length=10_000)]


class SayBody(Body):
    """Something to be written into the timeline."""

    text: Text
    #: Who says it; the caller's own name where it is left out.
    by: Annotated[str, Field(min_length=1, max_length=100)] | None = None


class ByBody(Body):
    """Who does it; the caller's own name where it is left out."""

    by: Annotated[str, Field(min_length=1, max_length=100)] | None = None


class EscalateBody(Body):
    """Why the next tier shall hear of it now."""

    reason: Text
    by: Annotated[str, Field(min_length=1, max_length=100)] | None = None


class EntryShape(Shape):
    """One entry of a timeline."""

    entry_id: int
    at: Time
    kind: str
    author: str
    text: str
    data: dict[str, Any] = Field(default_factory=dict)


class ActionItemShape(Shape):
    """Something to be done so that it does not happen again."""

    text: str
    is_done: bool


class IncidentShape(Shape):
    """An incident."""

    id: str
    rule_id: str
    title: str
    severity: str
    owner: str
    labels: dict[str, str]
    state: str
    opened_at: Time
    mitigated_at: Time | None
    resolved_at: Time | None
    reviewed_at: Time | None
    review_due_at: Time | None
    root_cause: str | None
    action_items: list[ActionItemShape]
    document: str


class IncidentInFull(IncidentShape):
    """An incident with all that happened in it."""

    timeline: list[EntryShape]
    playbook_runs: list[str]


@router.get("")
async def page(
    given: Given,
    state: IncidentState | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: Cursor | None = None,
) -> Page[IncidentShape]:
    """Incidents, the newest first."""
    found = await given.storage.read(
        lambda conn: store.page(conn, state=state, before=cursor, limit=limit + 1)
    )
    more = str(found[limit - 1].number) if len(found) > limit else None
    return Page(items=[shape(incident) for incident in found[:limit]], next_cursor=more)


@router.get("/{incident_id}")
async def one(incident_id: str, given: Given) -> IncidentInFull:
    """One incident with its timeline."""
    number = incident_number(incident_id)

    def read(conn: Connection) -> IncidentInFull:
        incident = store.get(conn, number)
        return IncidentInFull(
            **shape(incident).model_dump(),
            timeline=[EntryShape.model_validate(entry) for entry in store.entries(conn, number)],
            playbook_runs=[run.run_id for run in run_store.of_incident(conn, number)],
        )

    return await given.storage.read(read)


@router.get("/{incident_id}/document", response_class=Response)
async def document(incident_id: str, given: Given) -> Response:
    """Its review document, as it stands on disk, people's edits included."""
    incident = await given.storage.read(lambda conn: store.get(conn, incident_number(incident_id)))
    text = await asyncio.to_thread(read_text, given.home / INCIDENTS / incident.document)
    return Response(text, media_type="text/markdown; charset=utf-8")


@router.post("/{incident_id}/notes", status_code=201)
async def note(incident_id: str, body: SayBody, given: Given, caller: Caller) -> IncidentInFull:
    """Write a remark into the timeline."""
    number, by = incident_number(incident_id), body.by or caller.subject
    await given.incidents.note(number, by=by, text=body.text)
    return await one(incident_id, given)


@router.post("/{incident_id}/acknowledge")
async def acknowledge(
    incident_id: str, given: Given, caller: Caller, body: ByBody | None = None
) -> IncidentInFull:
    """Say that somebody looks after all alerts of the incident."""
    by = (body.by if body else None) or caller.subject
    number = incident_number(incident_id)
    await given.acknowledgements.acknowledge_incident(number, by=by, now=given.clock.now())
    return await one(incident_id, given)


@router.post("/{incident_id}/escalate")
async def escalate(incident_id: str, body: EscalateBody, given: Given, caller: Caller) -> IncidentInFull:
    """Tell the next tier now."""
    by = body.by or caller.subject
    number = incident_number(incident_id)
    await given.escalations.escalate(number, reason=f"{by}: {body.reason}", now=given.clock.now())
    return await one(incident_id, given)


@router.post("/{incident_id}/mitigate")
async def mitigate(incident_id: str, body: SayBody, given: Given, caller: Caller) -> IncidentInFull:
    """Say that a repair holds: no further tier is told."""
    number, by = incident_number(incident_id), body.by or caller.subject
    await given.incidents.mitigate(number, by=by, text=body.text)
    return await one(incident_id, given)


@router.post("/{incident_id}/review")
async def review(incident_id: str, body: SayBody, given: Given, caller: Caller) -> IncidentInFull:
    """Say that it was looked back on."""
    number, by = incident_number(incident_id), body.by or caller.subject
    await given.incidents.review(number, by=by, text=body.text)
    return await one(incident_id, given)


@router.post("/{incident_id}/root-cause")
async def state_root_cause(incident_id: str, body: SayBody, given: Given, caller: Caller) -> IncidentInFull:
    """Say, or say anew, why it happened."""
    number, by = incident_number(incident_id), body.by or caller.subject
    await given.incidents.state_root_cause(number, by=by, text=body.text)
    return await one(incident_id, given)


@router.post("/{incident_id}/action-items", status_code=201)
async def add_action_item(incident_id: str, body: SayBody, given: Given, caller: Caller) -> IncidentInFull:
    """Note something to be done so that it does not happen again."""
    number, by = incident_number(incident_id), body.by or caller.subject
    await given.incidents.add_action_item(number, by=by, text=body.text)
    return await one(incident_id, given)


@router.post("/{incident_id}/action-items/{index}/done")
async def finish_action_item(
    incident_id: str,
    index: Annotated[int, Path(ge=0)],
    given: Given,
    caller: Caller,
    body: ByBody | None = None,
) -> IncidentInFull:
    """Tick off an action item, counted from 0."""
    number, by = incident_number(incident_id), (body.by if body else None) or caller.subject
    await given.incidents.finish_action_item(number, by=by, index=index)
    return await one(incident_id, given)


def shape(incident: Incident) -> IncidentShape:
    """An incident as the API shows it."""
    return IncidentShape.model_validate(incident)
