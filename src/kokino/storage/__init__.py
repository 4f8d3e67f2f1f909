"""The database seam: `Storage.read` and `Storage.write` are all that the rest of Kokino sees of it.

Both take a function of one SQLAlchemy connection. It runs inside one transaction, in a thread; it may be run
again when the database asks for that, so it has no side effects beyond its rows.
"""

from __future__ import annotations

from kokino.storage.base import Reading, Storage
from kokino.storage.open import (
    DamagedFile,
    check_opens,
    check_url,
    default_url,
    file_of,
    look_into,
    open_storage,
)

__all__ = [
    "DamagedFile",
    "Reading",
    "Storage",
    "check_opens",
    "check_url",
    "default_url",
    "file_of",
    "look_into",
    "open_storage",
]
