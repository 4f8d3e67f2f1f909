import os
from pathlib import Path

import pytest

from kokino.errors import ProcessError
from kokino.process.attaching import prepare
from kokino.process.linux import LONGEST_SOCKET_PATH


def test_the_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    """Whoever may enter could command the warden."""
    socket = prepare(tmp_path / "run")

    assert socket == tmp_path / "run" / "warden.sock"
    assert socket.parent.stat().st_mode & 0o777 == 0o700


def test_a_path_too_long_for_a_socket_is_told_with_its_length(tmp_path: Path) -> None:
    """The kernel's own answer would be "invalid argument"."""
    folder = tmp_path / ("x" * LONGEST_SOCKET_PATH)
    size = len(os.fsencode(folder / "warden.sock"))

    with pytest.raises(
        ProcessError, match=f"{size} bytes, 107 at most; configure a shorter runtime directory"
    ):
        prepare(folder)


def test_a_directory_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    """The message says how to mend it."""
    tmp_path.chmod(0o755)

    with pytest.raises(ProcessError, match=f"chmod 700 {tmp_path}"):
        prepare(tmp_path)


def test_a_file_in_its_place_is_told(tmp_path: Path) -> None:
    """A runtime directory that is no directory is no crash."""
    (tmp_path / "run").touch()

    with pytest.raises(ProcessError, match=r"run cannot be made: File exists"):
        prepare(tmp_path / "run")
