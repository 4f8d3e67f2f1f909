"""What `kokino attach` runs is put together on this side."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from kokino.cli.attach import command_of, notice_of, require_own
from kokino.errors import KokinoError


def test_the_command_is_made_of_socket_and_session_alone() -> None:
    """What an answer says should be run is not looked at."""
    answer = {"socket": "/run/k/tmux", "session": "$3", "command": ["sh", "-c", "id"]}
    shown = ["tmux", "-S", "/run/k/tmux", "attach-session", "-r", "-t", "$3"]
    assert command_of(answer, write=False) == shown
    assert command_of(answer, write=True) == [word for word in shown if word != "-r"]


@pytest.mark.parametrize(
    "answer",
    [
        {"socket": "tmux", "session": "$3"},
        {"socket": "/run/\x1b]0;x\x07", "session": "$3"},
        {"socket": "/run/k/tmux", "session": "=$3"},
        {"socket": "/run/k/tmux", "session": "$3\n"},
        {"socket": "/run/k/tmux", "session": "-E"},
        {"command": ["tmux"]},
        ["tmux"],
    ],
)
def test_anything_else_is_refused(answer: Any) -> None:
    """Without a control character of it reaching the terminal."""
    with pytest.raises(KokinoError, match="names no terminal") as refused:
        command_of(answer, write=False)
    assert refused.value.message.isprintable()


def test_what_a_terminal_without_a_cli_is_told_as() -> None:
    """How its last execution ended, in letters that a terminal only shows."""
    ended = {"running": False, "executionId": "exec-1", "state": "failed", "kind": "crash\x1b[2J"}
    ended["endedAt"] = "2026-01-05T09:00:00Z"
    assert notice_of({"running": True}) is None
    assert notice_of({"running": False, "endedAt": None}) == "No CLI runs in it now."
    between = {"running": False, "endedAt": None, "state": "running"}
    assert str(notice_of(between)).endswith(" The next try of its execution begins soon.")
    said = "exec-1 ended at 2026-01-05T09:00:00Z: failed (crash\N{REPLACEMENT CHARACTER}[2J)."
    assert notice_of(ended) == f"No CLI runs in it now. {said} You see its last screen."


def test_only_a_socket_of_ones_own_is_given_the_terminal(tmp_path: Path) -> None:
    """A server may do with a terminal what it wants."""
    with pytest.raises(KokinoError, match="there is no tmux server"):
        require_own(tmp_path / "gone")
    (tmp_path / "file").touch()
    with pytest.raises(KokinoError, match="no socket of yours"):
        require_own(tmp_path / "file")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        require_own(tmp_path / "s")
