"""Where CLIs keep what was said in a session, for those that keep it in one file that can be copied.

A copy under another name is another session with the same past: the first one does not notice.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from pathlib import Path

#: Claude Code cuts the name of a working directory's folder there, in characters, and puts a number behind.
LONGEST_NAME = 200
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def session_file(driver: str, session_id: str, *, cwd: Path, env: Mapping[str, str]) -> Path | None:
    """The file of a session that was begun in `cwd`; None for a CLI whose sessions cannot be copied so."""
    found = FILES.get(driver)
    return None if found is None else found(session_id, cwd, env)


def claude_session(session_id: str, cwd: Path, env: Mapping[str, str]) -> Path:
    """One JSON record per line, in a folder for each working directory."""
    home = Path(env.get("HOME") or Path.home())
    root = Path(env.get("CLAUDE_CONFIG_DIR") or home / ".claude") / "projects"
    return root / _claude_folder(str(cwd)) / f"{session_id}.jsonl"


def _claude_folder(cwd: str) -> str:
    """As Claude Code 2.1.197 names it; its letters are UTF-16 units."""
    units = [unit for (unit,) in struct.iter_unpack("<H", cwd.encode("utf-16-le", "replace"))]
    name = "".join(chr(unit) if unit < 128 and chr(unit).isalnum() else "-" for unit in units)
    if len(name) <= LONGEST_NAME:
        return name
    number = 0
    for unit in units:
        number = (number * 31 + unit) % 2**32
    return f"{name[:LONGEST_NAME]}-{_in_base_36(min(number, 2**32 - number))}"


def _in_base_36(number: int) -> str:
    rest, digit = divmod(number, 36)
    return (_in_base_36(rest) if rest else "") + DIGITS[digit]


def _scripted(session_id: str, cwd: Path, env: Mapping[str, str]) -> Path | None:
    folder = env.get("KOKINO_SCRIPTED_HOME")
    return None if folder is None else cwd / folder / f"{session_id}.jsonl"


FILES: Mapping[str, Callable[[str, Path, Mapping[str, str]], Path | None]] = {
    "claude-code": claude_session,
    "scripted": _scripted,
}
