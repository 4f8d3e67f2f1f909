"""The OpenAI Chat Completions API, streaming, as far as OpenCode and Qwen Code use it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.model_server.openai_failures import refusal
from tests.model_server.replies import Answer, Failure, ToolUse

#: Cached ones are among the prompt's tokens, reasoning ones among the completion's: so this API counts.
PROMPT_TOKENS, CACHED_TOKENS = 11, 3
COMPLETION_TOKENS, REASONING_TOKENS = 7, 2


class OpenAiChat:
    """``POST /v1/chat/completions`` with server-sent events."""

    def is_greeting(self, method: str, path: str) -> bool:
        """True for a request that asks no model."""
        return False

    def is_prompt(self, method: str, path: str) -> bool:
        """True for a request that a scripted reply answers."""
        return method == "POST" and path.partition("?")[0] == "/v1/chat/completions"

    def texts(self, body: dict[str, Any]) -> list[str]:
        """Every text that the request carries to the model, oldest first."""
        return [text for message in body.get("messages", []) for text in _texts_in(message.get("content"))]

    def events(self, reply: Answer | ToolUse, model: str, number: int) -> Iterator[bytes]:
        """The answer as server-sent events."""
        frame = {"id": f"chatcmpl-test{number:04d}", "object": "chat.completion.chunk", "created": 0}
        for chunk in _chunks(reply, number):
            yield f"data: {json.dumps({**frame, 'model': model, **chunk})}\n\n".encode()
        yield b"data: [DONE]\n\n"

    def failure(self, reply: Failure) -> bytes:
        """The body of a refusal."""
        return refusal(reply)


def _texts_in(content: str | list[dict[str, Any]] | None) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [piece["text"] for piece in content or () if "text" in piece]


def _chunks(reply: Answer | ToolUse, number: int) -> Iterator[dict[str, Any]]:
    yield _choice({"role": "assistant", "content": ""})
    for delta in _deltas(reply, number):
        yield _choice(delta)
    yield _choice({}, finish_reason=reply.finish if isinstance(reply, Answer) else "tool_calls")
    yield {"choices": [], "usage": _usage()}


def _choice(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def _deltas(reply: Answer | ToolUse, number: int) -> Iterator[dict[str, Any]]:
    if isinstance(reply, ToolUse):
        call = {"name": reply.tool, "arguments": json.dumps(dict(reply.input))}
        yield {
            "tool_calls": [{"index": 0, "id": f"call_test{number:04d}", "type": "function", "function": call}]
        }
        return
    for start in range(0, len(reply.text), 12):
        yield {"content": reply.text[start : start + 12]}


def _usage() -> dict[str, Any]:
    return {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": COMPLETION_TOKENS,
        "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
        "prompt_tokens_details": {"cached_tokens": CACHED_TOKENS},
        "completion_tokens_details": {"reasoning_tokens": REASONING_TOKENS},
    }
