from __future__ import annotations

from pathlib import Path

import pytest

from kokino.errors import ConfigInvalid, NotFound
from kokino.playbooks.library import load_library
from tests.unit.playbooks.documents import SMALL

SHIPPED = "availability-slo-breach"


def put(home: Path, name: str, text: str) -> None:
    """Write a playbook into a home."""
    (home / "playbooks").mkdir(exist_ok=True)
    (home / "playbooks" / name).write_text(text, encoding="utf-8")


def test_the_shipped_playbooks_are_there_without_a_home() -> None:
    """The default works with no file written."""
    playbook = load_library().get(SHIPPED)
    assert playbook.is_shipped
    assert load_library().for_alert(SHIPPED) == playbook


def test_a_playbook_of_the_home_takes_the_place_of_the_shipped_one(tmp_path: Path) -> None:
    """An override is another text, and no longer counts as shipped."""
    shipped = load_library().get(SHIPPED)
    put(tmp_path, f"{SHIPPED}.md", shipped.text.replace("# Availability SLO breach", "# Ours"))
    own = load_library(tmp_path).get(SHIPPED)
    assert (own.title, own.is_shipped) == ("Ours", False)
    assert own.digest != shipped.digest


def test_a_new_playbook_of_the_home_stands_beside_the_shipped_ones(tmp_path: Path) -> None:
    """One's own alert gets one's own playbook."""
    put(tmp_path, "disk.md", SMALL)
    library = load_library(tmp_path)
    assert {"disk", SHIPPED} <= library.playbooks.keys()


def test_the_faults_of_all_files_are_reported_at_once(tmp_path: Path) -> None:
    """Each names its file."""
    put(tmp_path, "disk.md", SMALL.replace("severity: P2", "severity: P7"))
    put(tmp_path, "other.md", "nothing")
    with pytest.raises(ConfigInvalid) as caught:
        load_library(tmp_path)
    assert {Path(str(fault.file)).name for fault in caught.value.faults} == {"disk.md", "other.md"}


def test_a_file_must_have_the_name_of_its_playbook(tmp_path: Path) -> None:
    """Otherwise nobody finds the text behind an id."""
    put(tmp_path, "disc.md", SMALL)
    with pytest.raises(ConfigInvalid, match="must be the name of the file"):
        load_library(tmp_path)


def test_an_alert_has_one_playbook(tmp_path: Path) -> None:
    """Two answers to one alert are a fault."""
    put(tmp_path, "disk.md", SMALL.replace("alert: disk-full", f"alert: {SHIPPED}"))
    with pytest.raises(ConfigInvalid, match="is answered by"):
        load_library(tmp_path)


def test_a_file_with_another_ending_is_not_ignored_in_silence(tmp_path: Path) -> None:
    """It would be missed when its alert fires."""
    put(tmp_path, "disk.markdown", SMALL)
    with pytest.raises(ConfigInvalid, match=r"must end in \.md, or nobody reads it"):
        load_library(tmp_path)


def test_a_file_that_is_no_text_is_a_fault(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are told, not crashed on."""
    put(tmp_path, "disk.md", "")
    (tmp_path / "playbooks" / "disk.md").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        load_library(tmp_path)


def test_an_unknown_playbook_is_named_with_the_known_ones() -> None:
    """The error says what there is."""
    with pytest.raises(NotFound, match=SHIPPED):
        load_library().get("nothing")
