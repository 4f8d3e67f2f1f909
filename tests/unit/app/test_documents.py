"""What documents say of one another, and where they say it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from kokino.app.documents import read_documents
from kokino.errors import Fault
from tests.unit.playbooks.documents import SMALL


def test_a_playbook_that_is_not_there_is_told_with_file_and_line(tmp_path: Path) -> None:
    """A rule that names none that exists, and a playbook that answers no rule."""
    shipped = (files("kokino.alerts") / "rules" / "lock-timeout.yaml").read_text(encoding="utf-8")
    rule, playbook = tmp_path / "alerts" / "lock-timeout.yaml", tmp_path / "playbooks" / "disk.md"
    for path, text in (
        (rule, shipped.replace("playbook: lock-timeout", "playbook: nope")),
        (playbook, SMALL),
    ):
        path.parent.mkdir()
        path.write_text(text, encoding="utf-8")
    faults: list[Fault] = []
    assert read_documents(tmp_path, faults) is None
    assert [(fault.file, _line(fault)) for fault in faults] == [
        (str(rule), "playbook: nope"),
        (str(playbook), "alert: disk-full"),
    ]


def _line(fault: Fault) -> str:
    """What stands there."""
    assert fault.file is not None
    assert fault.line is not None
    return Path(fault.file).read_text(encoding="utf-8").splitlines()[fault.line - 1]
