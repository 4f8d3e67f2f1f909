"""A database as a broker's first start makes it, made once for all brokers of a test process.

To run every migration takes ten times as long as to open a copy.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from kokino.storage.migrate import migrate
from kokino.storage.sqlite import writing_engine


@cache
def empty_database() -> bytes:
    """The SQLite file: the present schema, without a row."""
    with tempfile.TemporaryDirectory(prefix="kokino-empty-") as folder:
        path = Path(folder) / "kokino.db"
        engine = writing_engine(path)
        try:
            migrate(engine)
        finally:
            engine.dispose()
        return path.read_bytes()


def place(path: Path | None) -> None:
    """Write an empty database there, unless something is there already, or it is a server's: None."""
    if path is not None and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_bytes(empty_database())
