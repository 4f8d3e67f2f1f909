"""Server-sent events: how one is written, and the response that carries them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi.responses import StreamingResponse

#: A comment: keeps the connection open and says nothing.
HEARTBEAT = b": \n\n"


def event(name: str, data: Any, *, number: int | None = None) -> bytes:
    """One event. JSON has no raw newline, so one ``data`` line always does."""
    lines = [f"event: {name}"]
    if number is not None:
        lines.append(f"id: {number}")
    lines.append(f"data: {json.dumps(data, separators=(',', ':'))}")
    return ("\n".join(lines) + "\n\n").encode()


def response(stream: AsyncIterator[bytes]) -> StreamingResponse:
    """A stream of events, which nothing on the way may hold back or keep."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)
