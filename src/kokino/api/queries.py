"""Query parameters that a route does not know are refused: a typing mistake must not look like an answer."""

from __future__ import annotations

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from kokino.errors import Fault, Invalid
from kokino.validation import hint


async def refuse_unknown(request: Request) -> None:
    """Raise `Invalid` for query parameters that the request's route does not take; all at once."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute) or not request.query_params:
        return
    known = known_to(route.dependant)
    faults = [_fault(name, known) for name in request.query_params if name not in known]
    if faults:
        raise Invalid("; ".join(f"{fault.field}: {fault.message}" for fault in faults), faults)


def known_to(dependant: Dependant) -> set[str]:
    """The query parameters that a route takes, its dependencies' too.

    They also stand in the OpenAPI document, but making that keeps the whole broker waiting for half a second.
    """
    own = {field.alias for field in dependant.query_params}
    return own.union(*(known_to(inner) for inner in dependant.dependencies))


def _fault(name: str, known: set[str]) -> Fault:
    return Fault(field=name[:100], message=f"is no parameter of this request; {hint(name, known)}")
