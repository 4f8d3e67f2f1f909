"""Text that any database takes."""

from __future__ import annotations

import re

_REFUSED = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """`text` with a replacement character for what PostgreSQL or UTF-8 refuse: NUL and lone surrogates."""
    return _REFUSED.sub("\ufffd", text)
