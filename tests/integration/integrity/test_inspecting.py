"""What is told of a home's database without its broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from kokino.app import inspecting
from kokino.integrity.backups import FOLDER
from tests.integration.integrity.damage import write_past

NAME = "kokino-20260105T033000Z-nightly.db"


@pytest.mark.parametrize(
    ("version", "says"),
    [("0009", "its schema is 0009, and this command knows"), ("9999", "schema 9999 is of a newer Kokino")],
)
def test_of_a_database_of_another_version_only_the_backups_are_told(
    tmp_path: Path, new_storage_url: str, version: str, says: str
) -> None:
    """Its tables may be others: figures that are read all the same may be wrong."""
    backups = tmp_path / FOLDER
    backups.mkdir()
    (backups / NAME).touch()
    environment = {"KOKINO_DATABASE_URL": new_storage_url}
    known = inspecting.stats(tmp_path / "home", environment, limit=1)
    assert (known["unread"], known["turns"]) == (None, 0)
    write_past(new_storage_url, f"UPDATE alembic_version SET version_num = '{version}'")  # noqa: S608 - ours
    told = inspecting.stats(tmp_path / "home", environment, limit=1)
    assert says in told["unread"]
    assert (told["conversations"], told["turns"], told["history"]) == (None, None, [])
    listed = [Path(one["path"]).name for one in told["backups"]]
    assert listed == ([NAME] if new_storage_url.startswith("sqlite") else [])
