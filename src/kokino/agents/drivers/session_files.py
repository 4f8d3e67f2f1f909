"""Where CLIs keep what was said in a session, for those that keep it in one file that can be copied.

A copy under another name is another session with the same past: the first one does not notice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path


def session_file(driver: str, session_id: str, *, cwd: Path, env: Mapping[str, str]) -> Path | None:
    """The file of a session that was begun in `cwd`; None for a CLI whose sessions cannot be copied so."""
    found = FILES.get(driver)
    return None if found is None else found(session_id, cwd, env)


def claude_session(session_id: str, cwd: Path, env: Mapping[str, str]) -> Path:
    """One JSON record per line, in a folder for each working directory."""
    home = Path(env.get("HOME") or Path.home())
    root = Path(env.get("CLAUDE_CONFIG_DIR") or home / ".claude") / "projects"
    return root / re.sub(r"[^A-Za-z0-9]", "-", str(cwd)) / f"{session_id}.jsonl"


def _scripted(session_id: str, cwd: Path, env: Mapping[str, str]) -> Path | None:
    folder = env.get("KOKINO_SCRIPTED_HOME")
    return None if folder is None else cwd / folder / f"{session_id}.jsonl"


FILES: Mapping[str, Callable[[str, Path, Mapping[str, str]], Path | None]] = {
    "claude-code": claude_session,
    "scripted": _scripted,
}
