"""Words that end up in commands for people: a terminal must be able to show them, and do nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping

#: What a terminal obeys instead of showing it.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
#: Ends of the names of variables that name a folder, which commands that mend something repeat.
FOLDERS = ("HOME", "_DIR")


def fault_in(word: str) -> str | None:
    """Why `word` cannot stand in a command for people; None where it can."""
    return f"{word[:200]!r} holds a control character" if CONTROL.search(word) else None


def fault_in_env(env: Mapping[str, str]) -> str | None:
    """The same of variables that name folders."""
    found = ((name, fault_in(value)) for name, value in env.items() if name.endswith(FOLDERS))
    return next((f"{name}: {fault}" for name, fault in found if fault is not None), None)
