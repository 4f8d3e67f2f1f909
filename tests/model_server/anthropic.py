"""The Anthropic Messages API, streaming, as far as Claude Code uses it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.model_server.replies import Answer, Failure, ToolUse

#: The API's word for each status (docs.anthropic.com, "Errors").
ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
INPUT_TOKENS = 11
OUTPUT_TOKENS = 7


class Anthropic:
    """``POST /v1/messages`` with server-sent events; ``HEAD /`` asks whether anybody is there."""

    def is_greeting(self, method: str, path: str) -> bool:
        """True for a request that asks no model."""
        return method == "HEAD" and path == "/"

    def is_prompt(self, method: str, path: str) -> bool:
        """True for a request that a scripted reply answers."""
        return method == "POST" and path.partition("?")[0] == "/v1/messages"

    def texts(self, body: dict[str, Any]) -> list[str]:
        """Every text that the request carries to the model, oldest first."""
        contents = [message["content"] for message in body.get("messages", [])]
        return [text for content in contents for text in _texts_in(content)]

    def events(self, reply: Answer | ToolUse, model: str, number: int) -> Iterator[bytes]:
        """The answer as server-sent events."""
        for event in _stream(reply, model, number):
            yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()

    def failure(self, reply: Failure) -> bytes:
        """The body of a refusal."""
        word = reply.code or ERROR_TYPES.get(reply.status, "api_error")
        return json.dumps({"type": "error", "error": {"type": word, "message": reply.message}}).encode()


def _texts_in(content: str | list[dict[str, Any]]) -> list[str]:
    if isinstance(content, str):
        return [content]
    texts = []
    for block in content:
        if block["type"] == "text":
            texts.append(block["text"])
        elif block["type"] == "tool_result":
            texts += _texts_in(block.get("content", ""))
    return texts


def _stream(reply: Answer | ToolUse, model: str, number: int) -> Iterator[dict[str, Any]]:
    stop_reason = "tool_use"
    if isinstance(reply, Answer):
        stop_reason = "max_tokens" if reply.is_cut else "end_turn"
    yield {"type": "message_start", "message": _message(model, number)}
    yield {"type": "content_block_start", "index": 0, "content_block": _empty_block(reply, number)}
    for delta in _deltas(reply):
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    ending = {"stop_reason": stop_reason, "stop_sequence": None}
    yield {"type": "message_delta", "delta": ending, "usage": _usage(OUTPUT_TOKENS)}
    yield {"type": "message_stop"}


def _message(model: str, number: int) -> dict[str, Any]:
    return {
        "id": f"msg_test{number:04d}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": _usage(1),
    }


def _usage(output_tokens: int) -> dict[str, int]:
    cached = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    return {"input_tokens": INPUT_TOKENS, "output_tokens": output_tokens, **cached}


def _empty_block(reply: Answer | ToolUse, number: int) -> dict[str, Any]:
    if isinstance(reply, Answer):
        return {"type": "text", "text": ""}
    return {"type": "tool_use", "id": f"toolu_test{number:04d}", "name": reply.tool, "input": {}}


def _deltas(reply: Answer | ToolUse) -> Iterator[dict[str, str]]:
    if isinstance(reply, ToolUse):
        yield {"type": "input_json_delta", "partial_json": json.dumps(dict(reply.input))}
        return
    for start in range(0, len(reply.text), 12):
        yield {"type": "text_delta", "text": reply.text[start : start + 12]}
