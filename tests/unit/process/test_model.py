from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kokino.process.model import Ended, Launch, read_exit_file
from kokino.process.spawn import candidates

LAUNCH = Launch(
    id="exec-1",
    argv=("cli",),
    env={"PATH": "/bin"},
    cwd=Path("/work"),
    stdin=None,
    stdout=Path("/spool/out"),
    stderr=Path("/spool/err"),
    exit_file=Path("/spool/exit"),
)


def test_a_sound_launch_has_no_fault() -> None:
    """The example that the faulty ones differ from."""
    assert LAUNCH.fault() is None


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"argv": ()}, "argv must name a program"),
        ({"argv": ("",)}, "argv must name a program"),
        ({"argv": ("cli", "a\0b")}, "argv, env and paths must not hold a NUL character"),
        ({"env": {"A": "\0"}}, "argv, env and paths must not hold a NUL character"),
        ({"env": {"A=B": "1"}}, "a name in env must not be empty nor hold '='"),
        ({"cwd": Path("here")}, "here must be an absolute path"),
        ({"stdin": Path("prompt")}, "prompt must be an absolute path"),
    ],
)
def test_what_no_kernel_would_take_is_told_before_it_is_sent(change: dict[str, Any], fault: str) -> None:
    """Each fault has its own sentence."""
    assert replace(LAUNCH, **change).fault() == fault


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"code": 0}'])
def test_a_damaged_exit_file_counts_as_none(tmp_path: Path, text: str) -> None:
    """A half-written or foreign file never passes for an end that somebody saw."""
    path = tmp_path / "exit"
    path.write_text(text)

    assert read_exit_file(path) is None


def test_an_exit_file_tells_how_it_ended(tmp_path: Path) -> None:
    """What the keeper writes is what the broker reads."""
    path = tmp_path / "exit"
    path.write_text('{"code": null, "signal": 9, "was_stopped": true, "leftovers": 2}\n')

    assert read_exit_file(path) == Ended(code=None, signal=9, was_stopped=True, leftovers=2)
    assert read_exit_file(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("program", "path", "found"),
    [
        ("cli", "/a:/b", ["/a/cli", "/b/cli"]),
        ("cli", "/a::/b", ["/a/cli", "./cli", "/b/cli"]),
        ("./cli", "/a", ["./cli"]),
        ("/opt/cli", "/a", ["/opt/cli"]),
    ],
)
def test_a_program_is_looked_for_as_a_shell_would(program: str, path: str, found: list[str]) -> None:
    """A slash means the file itself; an empty entry of the PATH is the working directory."""
    assert candidates(program, {"PATH": path}) == found
