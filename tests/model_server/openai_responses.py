"""The OpenAI Responses API, streaming, as far as Codex uses it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.model_server.openai_failures import refusal
from tests.model_server.replies import Answer, Failure, ToolUse

#: Cached ones are among the input tokens, reasoning ones among the output tokens: so this API counts.
INPUT_TOKENS, CACHED_TOKENS = 11, 3
OUTPUT_TOKENS, REASONING_TOKENS = 7, 2


class OpenAiResponses:
    """``POST /v1/responses`` with server-sent events."""

    def is_greeting(self, method: str, path: str) -> bool:
        """True for a request that asks no model."""
        return False

    def is_prompt(self, method: str, path: str) -> bool:
        """True for a request that a scripted reply answers."""
        return method == "POST" and path.partition("?")[0] == "/v1/responses"

    def texts(self, body: dict[str, Any]) -> list[str]:
        """Every text that the request carries to the model, oldest first."""
        return [text for item in body.get("input", []) for text in _texts_in(item)]

    def events(self, reply: Answer | ToolUse, model: str, number: int) -> Iterator[bytes]:
        """The answer as server-sent events."""
        for sequence, event in enumerate(_stream(reply, model, number)):
            data = json.dumps({**event, "sequence_number": sequence})
            yield f"event: {event['type']}\ndata: {data}\n\n".encode()

    def failure(self, reply: Failure) -> bytes:
        """The body of a refusal."""
        return refusal(reply)


def _texts_in(item: dict[str, Any]) -> list[str]:
    """A message has its text in pieces, a tool's result stands as it is."""
    content = item.get("content") or item.get("output") or []
    if isinstance(content, str):
        return [content]
    return [piece["text"] for piece in content if "text" in piece]


def _stream(reply: Answer | ToolUse, model: str, number: int) -> Iterator[dict[str, Any]]:
    response: dict[str, Any] = {"id": f"resp_test{number:04d}", "object": "response", "model": model}
    item = _item(reply, number)
    yield {"type": "response.created", "response": {**response, "status": "in_progress", "output": []}}
    empty = {**item, "status": "in_progress"} | ({"content": []} if isinstance(reply, Answer) else {})
    yield {"type": "response.output_item.added", "output_index": 0, "item": empty}
    yield from _deltas(reply, item["id"])
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}
    done = {**response, "status": "completed", "output": [item], "usage": _usage()}
    yield {"type": "response.completed", "response": done}


def _item(reply: Answer | ToolUse, number: int) -> dict[str, Any]:
    if isinstance(reply, Answer):
        text = {"type": "output_text", "text": reply.text, "annotations": []}
        return {"id": f"msg_test{number:04d}", "type": "message", "role": "assistant", "content": [text]}
    arguments = json.dumps(dict(reply.input))
    call = {"call_id": f"call_test{number:04d}", "name": reply.tool, "arguments": arguments}
    return {"id": f"fc_test{number:04d}", "type": "function_call", "status": "completed", **call}


def _deltas(reply: Answer | ToolUse, item_id: str) -> Iterator[dict[str, Any]]:
    place = {"item_id": item_id, "output_index": 0}
    if isinstance(reply, ToolUse):
        delta = json.dumps(dict(reply.input))
        yield {"type": "response.function_call_arguments.delta", **place, "delta": delta}
        return
    for start in range(0, len(reply.text), 12):
        delta = reply.text[start : start + 12]
        yield {"type": "response.output_text.delta", **place, "content_index": 0, "delta": delta}


def _usage() -> dict[str, Any]:
    return {
        "input_tokens": INPUT_TOKENS,
        "input_tokens_details": {"cached_tokens": CACHED_TOKENS},
        "output_tokens": OUTPUT_TOKENS,
        "output_tokens_details": {"reasoning_tokens": REASONING_TOKENS},
        "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
    }
