"""The pages. They only read; what a button does goes through the API."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, cast

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from fastapi.routing import APIRoute
from sqlalchemy import Connection
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from kokino.alerts import store as alert_store
from kokino.api import sse
from kokino.api.routing import install
from kokino.api.services import Given, Services
from kokino.errors import KokinoError
from kokino.incidents import store as incident_store
from kokino.incidents.model import incident_number
from kokino.web import documents, render
from kokino.web.live import Live
from kokino.web.panels import View, dashboard, incident
from kokino.web.response import read_alert

#: Scripts, styles and pictures.
STATIC = Path(__file__).parent / "static"
#: Nothing from elsewhere, nothing inline, and no page of somebody else's around ours.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
#: Incidents on one page of the list.
PAGE = 50
Cursor = Annotated[int | None, Query(ge=1, alias="cursor")]


class PageRoute(APIRoute):
    """A route that tells a person, as a page, what is wrong with what was asked for."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except KokinoError as error:
                now = cast(Services, request.app.state.services).clock.now()
                text = render.page("error", now=now, status=error.status, message=error.message)
                return _html(text, status=error.status)

        return handle


class Files(StaticFiles):
    """Our own files, which a browser asks for anew when they have changed."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update({**HEADERS, "Cache-Control": "no-cache"})
        return response


router = APIRouter(include_in_schema=False, route_class=PageRoute)


def mount(app: FastAPI) -> None:
    """Add the pages to the API's application."""
    install(app, [router])
    app.mount("/static", Files(directory=STATIC), name="static")


async def stop(app: FastAPI) -> None:
    """End the streams of open pages, so that they do not hold up the end of the application."""
    if hasattr(app.state, "live"):
        await app.state.live.stop()


@router.get("/")
async def overview(given: Given) -> HTMLResponse:
    """The dashboard."""
    return await _live_page(given, dashboard(given), "dashboard")


@router.get("/live")
async def live(request: Request, given: Given) -> StreamingResponse:
    """What changes on the dashboard, as it changes."""
    return sse.response(_live(request, given).follow(dashboard(given)))


@router.get("/incidents")
async def incidents(given: Given, cursor: Cursor = None) -> HTMLResponse:
    """All incidents, the newest first."""
    found = await given.storage.read(lambda conn: incident_store.page(conn, before=cursor, limit=PAGE + 1))
    more = found[PAGE - 1].number if len(found) > PAGE else None
    return _html(render.page("incidents", now=given.clock.now(), incidents=found[:PAGE], cursor=more))


@router.get("/incidents/{incident_id}")
async def one_incident(incident_id: str, given: Given) -> HTMLResponse:
    """One incident, from the first alert to the review."""
    number = incident_number(incident_id)
    return await _live_page(given, incident(number), "incident", number=number)


@router.get("/incidents/{incident_id}/live")
async def live_incident(incident_id: str, request: Request, given: Given) -> StreamingResponse:
    """What changes on an incident's page."""
    number = incident_number(incident_id)
    await given.storage.read(lambda conn: incident_store.get(conn, number))
    return sse.response(_live(request, given).follow(incident(number)))


@router.get("/alerts/{alert_id}")
async def one_alert(alert_id: str, given: Given) -> HTMLResponse:
    """One alert, and why it is in its state."""
    now = given.clock.now()

    def read(conn: Connection) -> dict[str, Any]:
        return {
            "alert": read_alert(conn, alert_id, now=now, rules=given.rules),
            "changes": alert_store.why(conn, alert_id)[::-1],
        }

    return _html(render.page("alert", now=now, **await given.storage.read(read)))


@router.get("/playbooks")
async def playbooks(given: Given) -> HTMLResponse:
    """All playbooks."""
    found = sorted(given.playbooks.playbooks.values(), key=lambda playbook: playbook.id)
    return _html(render.page("playbooks", now=given.clock.now(), playbooks=found))


@router.get("/playbooks/{playbook_id}")
async def one_playbook(playbook_id: str, given: Given) -> HTMLResponse:
    """One playbook, as people follow it."""
    playbook = given.playbooks.get(playbook_id)
    body = documents.to_html(playbook)
    return _html(render.page("playbook", now=given.clock.now(), playbook=playbook, body=body))


async def _live_page(given: Services, view: View, template: str, **values: Any) -> HTMLResponse:
    now = given.clock.now()
    panels = await given.storage.read(lambda conn: view.read(conn, now))
    shown = render.fragments(panels, now=now)
    return _html(render.page(template, now=now, panels=panels, fragments=shown, **values))


def _live(request: Request, given: Services) -> Live:
    """The one of this application, made when the first page is looked at."""
    state = request.app.state
    if not hasattr(state, "live"):
        state.live = Live(given.storage, given.clock)
    return cast(Live, state.live)


def _html(text: str, *, status: int = 200) -> HTMLResponse:
    return HTMLResponse(text, status, headers=HEADERS)
