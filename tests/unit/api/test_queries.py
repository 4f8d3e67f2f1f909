"""Which query parameters a route takes."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from kokino.api.app import ROUTERS
from kokino.api.queries import known_to
from kokino.api.routing import install


def test_a_route_knows_the_parameters_that_openapi_lists() -> None:
    """Of every route; none that is documented is refused, none that is not is taken."""
    app = FastAPI()
    install(app, ROUTERS)
    paths: dict[str, Any] = app.openapi()["paths"]
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    taken = {
        f"{method} {route.path}": known_to(route.dependant)
        for route in routes
        for method in route.methods or ()
    }
    listed = {
        f"{method.upper()} {path}": {
            one["name"] for one in told.get("parameters", ()) if one["in"] == "query"
        }
        for path, operations in paths.items()
        for method, told in operations.items()
    }
    assert {name: names for name, names in taken.items() if name in listed} == listed
    assert any(listed.values())
