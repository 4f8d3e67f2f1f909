"""Writes a file that people may be editing: whole or not at all, and never over what they just saved."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def rewrite(path: Path, change: Callable[[str], str]) -> None:
    """Replace the text of `path` by `change` of it; a missing file counts as empty.

    A crash leaves the old file or the new one. `change` runs again when somebody saved the file meanwhile.
    Raises `OSError`, and `UnicodeDecodeError` for a file that is no text any more.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while not _replaced(path, change):
        pass


def _replaced(path: Path, change: Callable[[str], str]) -> bool:
    before = read_text(path)
    after = change(before)
    if after == before:
        return True
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("w", encoding="utf-8") as file:
        file.write(after)
        file.flush()
        os.fsync(file.fileno())
    if read_text(path) != before:
        return False
    draft.replace(path)
    return True


def read_text(path: Path) -> str:
    """The text of `path`; empty where there is no file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
