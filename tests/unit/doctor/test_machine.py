"""What the machine has beside the CLIs."""

from __future__ import annotations

from pathlib import Path

import pytest

from kokino.doctor.machine import PROGRAMS, look_at_machine
from kokino.doctor.model import Check


def put(folder: Path, *names: str) -> Path:
    """Programs in a folder."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder


def look(path: Path, usual: Path) -> dict[str, Check]:
    """What is found with that PATH on a machine whose usual one is that."""
    found = look_at_machine({"PATH": str(path)}, "tree walk", usual=str(usual))
    return {check.name: check for check in found}


def test_programs_that_are_missing_cost_a_warning(tmp_path: Path) -> None:
    """With what does not work without them; prompts run all the same."""
    found = look(put(tmp_path / "own", "jq"), put(tmp_path / "usual"))
    assert list(found) == ["tier", *PROGRAMS]
    assert [name for name, check in found.items() if not check.passed] == ["bash", "curl", "tmux"]
    assert all(check.is_well for check in found.values())
    assert found["tmux"].message == "tmux is not on PATH: no agent can run in tmux; install it"
    assert "no control groups" in found["tier"].message
    assert "have control groups" in look_at_machine({}, "cgroup")[0].message


@pytest.mark.parametrize(
    ("installer", "mend"),
    [("apt-get", "apt-get install tmux"), ("pacman", "pacman -S tmux"), ("none-of-them", None)],
)
def test_what_is_missing_is_installed_as_this_machine_does_it(
    tmp_path: Path, installer: str, mend: str | None
) -> None:
    """A command that is not there mends nothing."""
    found = look(put(tmp_path / "own"), put(tmp_path / "usual", installer))
    assert found["tmux"].mend == mend


def test_what_is_there_and_only_not_on_path_is_not_installed_again(tmp_path: Path) -> None:
    """It is PATH that is to be mended."""
    usual = put(tmp_path / "usual", "jq", "apt-get")
    found = look(put(tmp_path / "own"), usual)["jq"]
    assert found.message == (
        f"jq is not on PATH, though {usual / 'jq'} is there: no playbook can run; add {usual} to it"
    )
    assert found.mend is None
