"""Ids that a test can foretell."""

from __future__ import annotations

import uuid


class SequentialIds:
    """``exec-000001``, ``exec-000002``, … so that a test can name what it expects."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def new(self, prefix: str) -> str:
        self._last[prefix] = number = self._last.get(prefix, 0) + 1
        return f"{prefix}-{number:06d}"

    def uuid(self) -> str:
        self._last["uuid"] = number = self._last.get("uuid", 0) + 1
        return str(uuid.UUID(int=number, version=4))
