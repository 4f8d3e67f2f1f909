"""The Gemini API of Google AI, streaming, as far as Gemini CLI uses it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.model_server.replies import Answer, Failure, ToolUse

#: The API's word for each status (ai.google.dev, "Troubleshooting").
ERROR_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
#: Cached ones are among the prompt's tokens, thoughts are counted beside the candidates': so this API counts.
PROMPT_TOKENS, CACHED_TOKENS = 11, 3
CANDIDATES_TOKENS, THOUGHTS_TOKENS = 7, 2


class Gemini:
    """``POST /v1beta/models/MODEL:streamGenerateContent`` with server-sent events."""

    def is_greeting(self, method: str, path: str) -> bool:
        """True for a request that asks no model."""
        return False

    def is_prompt(self, method: str, path: str) -> bool:
        """True for a request that a scripted reply answers."""
        return method == "POST" and path.partition("?")[0].endswith(":streamGenerateContent")

    def texts(self, body: dict[str, Any]) -> list[str]:
        """Every text that the request carries to the model, oldest first."""
        parts = [part for content in body.get("contents", []) for part in content.get("parts", [])]
        return [text for part in parts for text in _texts_in(part)]

    def events(self, reply: Answer | ToolUse, model: str, number: int) -> Iterator[bytes]:
        """The answer as server-sent events."""
        for parts in _pieces(reply):
            yield _event(number, {"index": 0, "content": {"role": "model", "parts": parts}})
        is_cut = isinstance(reply, Answer) and reply.is_cut
        reason = "MAX_TOKENS" if is_cut else "STOP"
        ending = {"index": 0, "content": {"role": "model", "parts": []}, "finishReason": reason}
        yield _event(number, ending, usageMetadata=_usage())

    def failure(self, reply: Failure) -> bytes:
        """The body of a refusal."""
        word = reply.code or ERROR_STATUSES.get(reply.status, "UNKNOWN")
        return json.dumps({
            "error": {"code": reply.status, "message": reply.message, "status": word}
        }).encode()  # fmt: skip


def _texts_in(part: dict[str, Any]) -> list[str]:
    if "functionResponse" in part:
        return [json.dumps(part["functionResponse"].get("response"))]
    return [part["text"]] if "text" in part else []


def _pieces(reply: Answer | ToolUse) -> Iterator[list[dict[str, Any]]]:
    if isinstance(reply, ToolUse):
        yield [{"functionCall": {"name": reply.tool, "args": dict(reply.input)}}]
        return
    for start in range(0, len(reply.text), 12):
        yield [{"text": reply.text[start : start + 12]}]


def _event(number: int, candidate: dict[str, Any], **more: Any) -> bytes:
    chunk = {"responseId": f"test{number:04d}", "candidates": [candidate], **more}
    return f"data: {json.dumps(chunk)}\r\n\r\n".encode()


def _usage() -> dict[str, int]:
    return {
        "promptTokenCount": PROMPT_TOKENS,
        "cachedContentTokenCount": CACHED_TOKENS,
        "candidatesTokenCount": CANDIDATES_TOKENS,
        "thoughtsTokenCount": THOUGHTS_TOKENS,
        "totalTokenCount": PROMPT_TOKENS + CANDIDATES_TOKENS + THOUGHTS_TOKENS,
    }
