"""The module that writes the review documents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from kokino.barrier import Faults
from kokino.incidents import IncidentDocuments, store
from kokino.incidents.documents import RETRY_AFTER
from kokino.incidents.evidence import Evidence, Repair
from kokino.playbooks import evidence_store
from kokino.slo.defaults import defaults
from kokino.storage import Storage
from tests.fixtures.episodes import Episodes, incidents_of

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
NAME = "incident-20260105-0900.md"
NO_TEXT = b"\xff\xfe\x00"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the documents go; not there yet."""
    return tmp_path / "incidents"


def new_module(storage: Storage, folder: Path) -> IncidentDocuments:
    """The module, as after a start of the broker."""
    return IncidentDocuments(storage, folder, availability=defaults().availability, runs=evidence_store)


@pytest.fixture
def module(storage: Storage, folder: Path) -> IncidentDocuments:
    """The module under test."""
    return new_module(storage, folder)


@pytest.fixture
async def opened(storage: Storage, episodes: Episodes) -> int:
    """The number of an open incident."""
    await episodes.fire(START)
    await incidents_of(storage).run(START)
    return 1


class Torn:
    """Playbook runs of which those of the first incident cannot be read."""

    def evidence(self, conn: Connection, number: int) -> list[Evidence]:
        if number == 1:
            raise LookupError("unreadable")
        return []

    def repair(self, conn: Connection, number: int) -> Repair:
        return Repair.NONE


def names_in(folder: Path) -> list[str]:
    """All that is in it."""
    return [path.name for path in folder.iterdir()]


def leave_a_file_for(folder: Path) -> None:
    """Something else stands where the folder should."""
    folder.write_text("mine")


def clear(path: Path) -> None:
    """Take a file away."""
    path.unlink()


def leave_no_text_in(folder: Path) -> Path:
    """A document that cannot be read as one."""
    folder.mkdir()
    path = folder / NAME
    path.write_bytes(NO_TEXT)
    return path


async def note(storage: Storage, number: int, text: str) -> None:
    """A person's remark."""
    await storage.write(
        lambda conn: store.note(conn, number, at=START + timedelta(minutes=5), author="ada", text=text)
    )


async def test_an_open_incident_has_its_file(
    storage: Storage, opened: int, module: IncidentDocuments, folder: Path
) -> None:
    """The document is there while the incident goes on, and nothing but it is left in the folder."""
    await module.run(START)
    assert names_in(folder) == [NAME]
    assert (folder / NAME).read_text().startswith("# Incident: Availability SLO Breach\n")


async def test_a_new_entry_is_written_and_a_quiet_timeline_is_not(
    storage: Storage, opened: int, module: IncidentDocuments, folder: Path
) -> None:
    """The file follows the timeline; where nothing happened it is left alone."""
    await module.run(START)
    (folder / NAME).write_text("mine alone\n")
    await module.run(START)
    assert (folder / NAME).read_text() == "mine alone\n"

    (folder / NAME).unlink()
    await note(storage, opened, "Looked at the vendor's status page")
    await module.run(START)
    assert "- 09:05 - Looked at the vendor's status page (ada)" in (folder / NAME).read_text()


async def test_a_restart_goes_on_where_the_file_is(
    storage: Storage, opened: int, module: IncidentDocuments, folder: Path
) -> None:
    """How far the file tells the story is in the database."""
    await module.run(START)
    changed_at = (folder / NAME).stat().st_mtime_ns
    await new_module(storage, folder).run(START)
    assert (folder / NAME).stat().st_mtime_ns == changed_at


async def test_what_people_wrote_is_still_there(
    storage: Storage, opened: int, module: IncidentDocuments, folder: Path
) -> None:
    """A section of their own survives the broker's next version."""
    await module.run(START)
    path = folder / NAME
    path.write_text(path.read_text() + "\n## What went well\n\nThe page came at once.\n")
    await note(storage, opened, "Vendor confirms")
    await module.run(START)

    text = path.read_text()
    assert text.endswith("\n## What went well\n\nThe page came at once.\n")
    assert "Vendor confirms" in text


async def test_a_folder_that_cannot_be_written_is_tried_again(
    storage: Storage, opened: int, module: IncidentDocuments, folder: Path
) -> None:
    """The module comes back to it, and then nothing is missing."""
    leave_a_file_for(folder)
    assert await module.run(START) == START + RETRY_AFTER

    clear(folder)
    assert await module.run(START + RETRY_AFTER) is None
    assert (folder / NAME).exists()


async def test_a_file_that_is_no_text_is_left_alone(
    storage: Storage, opened: int, module: IncidentDocuments, folder: Path
) -> None:
    """Whatever somebody put there, the broker does not write over what it cannot read."""
    path = leave_no_text_in(folder)
    assert await module.run(START) == START + RETRY_AFTER
    assert path.read_bytes() == NO_TEXT


async def test_a_story_that_cannot_be_read_keeps_no_other_from_its_file(
    storage: Storage, episodes: Episodes, folder: Path
) -> None:
    """The second incident has its file, and the module's health tells of the first."""
    for name in ("reviewer", "writer"):
        await episodes.fire(START, rule_id="circuit-breaker-opened", labels={"agent": name})
    await incidents_of(storage).run(START)
    torn = IncidentDocuments(storage, folder, availability=defaults().availability, runs=Torn())
    with pytest.raises(Faults, match="INC-1: LookupError: unreadable"):
        await torn.run(START)
    assert names_in(folder) == ["incident-20260105-0900-2.md"]
