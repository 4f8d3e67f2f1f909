"""Where the files of sessions are."""

from __future__ import annotations

from pathlib import Path

import pytest

from kokino.agents.drivers.session_files import claude_session


# The names are by the function of Claude Code 2.1.197 itself, run in Node.
@pytest.mark.parametrize(
    ("cwd", "folder"),
    [
        ("/w/hej d\u00e5/\U0001f600/x", "-w-hej-d-----x"),
        ("/" + "l\u00e5ngt-\U0001f600/" * 30 + "w", f"{('-l-ngt---' * 23)[:200]}-7vmu0o"),
    ],
    ids=["letters that are no ASCII", "a path of more than 200 letters"],
)
def test_the_folder_of_a_working_directory_is_named_as_claude_code_does(cwd: str, folder: str) -> None:
    """Else its answers were looked for where they are not."""
    path = claude_session("the-id", Path(cwd), {"HOME": "/home/x"})
    assert path == Path("/home/x/.claude/projects") / folder / "the-id.jsonl"
