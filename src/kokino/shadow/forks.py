"""Copy an agent's session for its shadow side, where the CLI keeps a session in one file."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from kokino.shadow.choose import NotComparable
from kokino.shadow.normalise import relocated

#: A session that is longer is not copied, in bytes: the caller's execution waits for it.
LONGEST = 64 * 1024 * 1024


def fork(own: Path, copy: Path, *, ids: tuple[str, str], places: Mapping[str, str]) -> None:
    """Copy a session under another id (`ids`: old, new), with its paths leading into the snapshot.

    Raises `NotComparable` where that cannot be.
    """
    try:
        if own.stat().st_size > LONGEST:
            raise NotComparable(
                f"its session takes more than {LONGEST // 1024**2} MiB, too much to be copied"
            )
        said = own.read_text("utf-8", "surrogateescape")
        copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        copy.write_text(relocated(said.replace(*ids), places), "utf-8", "surrogateescape")
    except OSError as error:
        raise NotComparable(f"its session cannot be copied: {error.strerror}: {own}") from error


def forget(copy: Path) -> None:
    """Remove a copy, and its folder if nothing else is in it."""
    with suppress(OSError):
        copy.unlink()
        copy.parent.rmdir()
