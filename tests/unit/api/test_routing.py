"""How the API's routes are put into its list."""

from __future__ import annotations

import pytest
from fastapi.routing import APIRoute

from kokino.api import problems
from kokino.api.app import ROUTERS
from kokino.api.queries import refuse_unknown

ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{min(route.methods)} {route.path}")
def test_every_route_refuses_what_it_does_not_know_and_tells_of_problems(route: APIRoute) -> None:
    """Its router says so: nothing is added when it is put into the list."""
    assert refuse_unknown in [needed.call for needed in route.dependant.dependencies]
    assert route.responses["default"] == route.responses[422] == problems.RESPONSE
    assert route.tags
