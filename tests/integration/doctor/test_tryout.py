"""CLIs are tried out without a broker, or it is said why they are not."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kokino.app.examine import examine
from kokino.app.settings import Checked, check
from kokino.app.tryout import diagnose
from kokino.config import FILE_NAME, load
from kokino.doctor.model import Check

ENVIRONMENT = {"PATH": "/usr/bin:/bin"}
NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
TOOL = '[cli_types.factory-droid]\ncommand = ["{tool}"]\n'


@pytest.fixture
def checked(tmp_path: Path) -> Checked:
    """A configuration in which Droid is a program that tells its version."""
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\necho 0.215.0\n")
    tool.chmod(0o755)
    (tmp_path / FILE_NAME).write_text(TOOL.format(tool=tool))
    return check(load(tmp_path), {**ENVIRONMENT, "HOME": str(tmp_path)}, now=NOW)


async def tried(checked: Checked) -> Check:
    """Its dry run; it is asked for by its short name."""
    [found] = await diagnose(checked, cli="droid", now=NOW)
    [dry_run] = [one for one in found.checks if one.name == "dryrun"]
    return dry_run


async def test_a_long_folder_for_temporary_files_keeps_nobody_from_trying(
    checked: Checked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warden's socket would not fit below it."""
    long = tmp_path / ("long-" * 20)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert "told 0.215.0 in" in (await tried(checked)).message


@pytest.mark.usefixtures("checked")
def test_a_damaged_database_is_told_with_the_way_to_restore_it(tmp_path: Path) -> None:
    """One that is not there yet is no fault; nothing is made."""

    def database() -> dict[str, Any]:
        found: dict[str, Any] = examine(tmp_path, ENVIRONMENT, cli="droid", now=NOW)["database"]
        return found

    data = tmp_path / "broker" / "data"
    none = database()
    assert (none["passed"], none["message"]) == (True, f"none yet, the first start makes {data}/kokino.db")
    assert not data.exists()
    data.mkdir(parents=True)
    (data / "kokino.db").write_bytes(b"somebody's diary" * 500)
    damaged = database()
    assert (damaged["passed"], damaged["mend"]) == (False, None)
    assert "kokino.db: the file is damaged (file is not a database)" in damaged["message"]
    backup = data / "backups" / "kokino-20260105T033000Z-nightly.db"
    backup.parent.mkdir()
    backup.touch()
    assert database()["mend"] == f"kokino integrity restore {backup} --home {tmp_path}"


@pytest.mark.usefixtures("checked")
def test_a_command_that_is_told_to_end_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by ``timeout``, while a CLI hangs."""
    (tmp_path / "tool").write_text(f"#!/bin/sh\nkill -TERM {os.getpid()}\nexec sleep 60\n")
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    with pytest.raises(SystemExit) as ended:
        examine(tmp_path, ENVIRONMENT, cli="droid", now=NOW)
    assert ended.value.code == 143
    assert list(room.iterdir()) == []


async def test_without_a_warden_it_is_said_that_nothing_was_tried(
    checked: Checked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All else is looked at."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    found = await tried(checked)
    assert found.message.startswith("not tried: there is no warden to start it: ")
    assert (found.passed, found.is_well, found.is_tried) == (False, True, False)
