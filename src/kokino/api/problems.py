"""One shape for everything that goes wrong: RFC 9457 problem+json with an ``error`` word."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from kokino.errors import Invalid, KokinoError
from kokino.validation import causes, hint, in_words

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
#: Base of a problem's type; the page lists every word.
TYPES = "https://kokino.dev/problems/"
#: So many faults of a request are told: a body has room for a million, each with words to be found for it.
MOST_FAULTS = 100
#: How the OpenAPI document tells of every answer that is a problem.
RESPONSE: dict[str, Any] = {
    "description": "A problem: what happened, and what to do next.",
    "content": {
        MEDIA_TYPE: {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status", "error", "detail"],
                "properties": {
                    "type": {"type": "string", "format": "uri"},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "error": {"type": "string", "description": "One word for machines."},
                    "detail": {"type": "string", "description": "What to do next, for people."},
                    "errors": {"type": "array", "items": {"type": "object"}},
                },
            }
        }
    },
}


def problem(
    status: int,
    error: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> JSONResponse:
    """An answer that tells of a problem."""
    body = {
        "type": f"{TYPES}{error.replace('_', '-')}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "error": error,
        "detail": detail,
        **more,
    }
    return JSONResponse(body, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every error of `app` in this shape."""

    @app.exception_handler(KokinoError)
    async def of_ours(_request: Request, error: KokinoError) -> JSONResponse:
        return of_error(error)

    @app.exception_handler(RequestValidationError)
    async def of_request(request: Request, error: RequestValidationError) -> JSONResponse:
        return _of_validation(error, _fields_of(request))

    @app.exception_handler(HTTPException)
    async def of_http(request: Request, error: HTTPException) -> JSONResponse:
        word, detail = _of_framework(request, error)
        return problem(error.status_code, word, detail, headers=error.headers)

    @app.exception_handler(Exception)
    async def of_bug(request: Request, error: Exception) -> JSONResponse:
        log.error("a request failed", method=request.method, path=request.url.path, exc_info=error)
        return problem(500, "internal", "an error inside the broker; its log has the whole of it")


def of_error(error: KokinoError) -> JSONResponse:
    """One of our errors as an answer."""
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after.total_seconds()))
    more: dict[str, Any] = {}
    if isinstance(error, Invalid) and error.faults:
        more["errors"] = [{"field": fault.field, "message": fault.message} for fault in error.faults]
    return problem(error.status, error.code, error.message, headers=headers, **more)


def _of_framework(request: Request, error: HTTPException) -> tuple[str, str]:
    """The word and the sentence for what the framework refuses by itself."""
    match error.status_code, error.detail:
        case HTTPStatus.NOT_FOUND, "Not Found":
            detail = f"there is nothing at {request.url.path}; /openapi.json lists what there is"
        case HTTPStatus.METHOD_NOT_ALLOWED, _:
            allowed = (error.headers or {}).get("Allow", "")
            detail = f"{request.method} is not for {request.url.path}; allowed: {allowed}"
        case HTTPStatus.BAD_REQUEST, "There was an error parsing the body":
            # Bytes that are no UTF-8, or nested deeper than a parser goes.
            return "malformed_json", "the body is not JSON that can be read: send UTF-8, less deeply nested"
        case _, detail:
            detail = str(detail)
    return HTTPStatus(error.status_code).name.lower(), detail


def _fields_of(request: Request) -> Collection[str]:
    """The fields that the body of a request to this route has."""
    body = getattr(request.scope.get("route"), "body_field", None)
    model = body and body.field_info.annotation
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return ()
    return [field.alias or name for name, field in model.model_fields.items()]


def _of_validation(error: RequestValidationError, fields: Collection[str]) -> JSONResponse:
    found = causes(error.errors())
    faults = [_fault(detail, fields) for detail in found[:MOST_FAULTS]]
    if any(detail["type"] == "json_invalid" for detail in error.errors()):
        detail = error.errors()[0]
        at = detail["loc"][-1] if len(detail["loc"]) > 1 else 0
        said = detail.get("ctx", {}).get("error", "no valid JSON")
        return problem(
            400,
            "malformed_json",
            f"the body is not JSON: {said.removesuffix(' at')}, at character {at}",
            errors=faults,
        )
    more = [f"and {len(found) - MOST_FAULTS:,} more"] if len(found) > MOST_FAULTS else []
    named = "; ".join([*(f"{fault['field']}: {fault['message']}" for fault in faults), *more])
    return problem(422, "invalid", named, errors=faults)


def _fault(detail: Mapping[str, Any], fields: Collection[str]) -> dict[str, str]:
    # "[key]" is pydantic's own word for a key that is wrong.
    place, *path = (part for part in detail["loc"] if part != "[key]")
    message = in_words(detail)
    if detail["type"] == "extra_forbidden":
        message = "is no field of this request"
        if len(path) == 1 and fields:
            message += f"; {hint(str(path[0]), fields)}"
    elif detail["type"] == "missing":
        message = "is missing"
    elif detail["type"] in {"model_attributes_type", "model_type", "dict_type"}:
        message = 'must be a JSON object, {"name": value, ...}'
    field = ".".join(str(part) for part in path) or str(place)
    return {"field": field, "message": message, "in": str(place)}
