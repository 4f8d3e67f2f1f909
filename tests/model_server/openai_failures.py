"""What both APIs of OpenAI say when they refuse."""

from __future__ import annotations

import json

from tests.model_server.replies import Failure

#: The APIs' word for each status (platform.openai.com, "Error codes").
ERROR_TYPES = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    403: "insufficient_permissions",
    404: "invalid_request_error",
    429: "rate_limit_exceeded",
    500: "server_error",
    503: "service_unavailable",
}


def refusal(reply: Failure) -> bytes:
    """The body of a refusal."""
    word = reply.code or ERROR_TYPES.get(reply.status, "server_error")
    error = {"message": reply.message, "type": word, "param": None, "code": word}
    return json.dumps({"error": error}).encode()
