"""Text that any database takes."""

from __future__ import annotations


def storable(text: str) -> str:
    """`text` with a replacement character for what PostgreSQL or UTF-8 refuse: NUL and lone surrogates."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\ufffd")
