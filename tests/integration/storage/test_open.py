"""A database that cannot be opened says why, and what to do next."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from pathlib import Path

import pytest

from kokino.errors import StorageError
from kokino.storage import check_opens, default_url, open_storage
from kokino.storage import open as module


async def refusal(url: str) -> str:
    """What opening it says."""
    with pytest.raises(StorageError) as caught:
        await open_storage(url)
    return caught.value.message


def objection(url: str) -> str:
    """What a look says that opens nothing for good."""
    with pytest.raises(StorageError) as caught:
        check_opens(url)
    return caught.value.message


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("kokino.db", "is no database URL"),
        ("", "is no database URL"),
        ("postgresql://host:many/kokino", "is no database URL"),
        ("mysql://host/kokino", "starts with 'mysql': use sqlite:///"),
        ("sqlite://", "starts with 'sqlite': use sqlite:///"),
        ("sqlite:///:memory:", "starts with 'sqlite': use sqlite:///"),
    ],
)
async def test_what_is_no_address_of_a_database_of_ours_is_refused(url: str, said: str) -> None:
    """With the two forms that there are; a database in memory would forget everything at the next start."""
    assert said in await refusal(url)


async def test_a_refused_address_does_not_tell_its_password() -> None:
    """What is wrong with it goes to logs and terminals."""
    for url in ("mysql://kokino:hunter2@host/db", "postgresql://kokino:hunter2@/db?host=/nowhere/at/all"):
        assert "hunter2" not in await refusal(url)


async def test_a_server_that_is_not_there_is_told() -> None:
    """With the address, and what to look at."""
    said = await refusal("postgresql://kokino@/kokino?host=/nowhere/at/all")
    assert said.startswith("postgresql+psycopg://kokino@/kokino")
    assert said.endswith("is the server up, and may this user log in?")
    assert objection("postgresql://kokino@/kokino?host=/nowhere/at/all") == said


async def test_an_option_that_no_server_knows_is_told() -> None:
    """As an error about the address, not as a fault of ours."""
    assert "nonsense" in await refusal("postgresql://host/kokino?nonsense=1")


async def test_a_file_that_is_no_database_is_damaged(tmp_path: Path) -> None:
    """It is left as it was, for whoever can save something; the latest backup is named, if there is one."""
    path = tmp_path / "kokino.db"
    path.write_bytes(b"this is no database, but somebody's diary" * 100)
    said = await refusal(f"sqlite:///{path}")
    assert said.startswith(f"{path}: the file is damaged (file is not a database)")
    assert f"`kokino integrity restore FILE`, same --home ({tmp_path}/backups has none)" in said
    backups = tmp_path / "backups"
    backups.mkdir()
    for name in ("20260106T033000Z-cleanup", "20260105T033000Z-nightly", "20260107T033000Z-cleanup-2"):
        (backups / f"kokino-{name}.db").touch()
    (backups / "of-somebody-else.db").touch()
    assert f"(the latest is {backups}/kokino-20260105T033000Z-nightly.db)" in await refusal(
        f"sqlite:///{path}"
    )
    (backups / "kokino-20260105T033000Z-nightly.db").unlink()
    assert f"{backups}/kokino-20260107T033000Z-cleanup-2.db)" in await refusal(f"sqlite:///{path}")
    for day in (5, 7, 6):
        (backups / f"kokino-2026010{day}T033000Z-nightly.db").touch()
    latest = f"(the latest is {backups}/kokino-20260107T033000Z-nightly.db)"
    assert latest in await refusal(f"sqlite:///{path}")
    assert path.read_bytes().startswith(b"this is no database")


async def test_a_database_with_torn_pages_is_damaged(tmp_path: Path) -> None:
    """Found at the start, not by the first execution that needs the page."""
    path = tmp_path / "kokino.db"
    opened = await open_storage(f"sqlite:///{path}")
    await opened.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * 8192 + whole[4096 + 8192 :])
    said = await refusal(f"sqlite:///{path}")
    assert "the file is damaged" in said
    assert objection(f"sqlite:///{path}") == said


def content(folder: Path) -> dict[str, bytes]:
    """Every file in it."""
    return {one.name: one.read_bytes() for one in folder.iterdir()}


async def test_a_look_changes_nothing(tmp_path: Path) -> None:
    """It makes no file, no log beside one that nobody has open, and finds no fault with either."""
    path = tmp_path / "data" / "kokino.db"
    check_opens(f"sqlite:///{path}")
    assert content(tmp_path) == {}
    opened = await open_storage(f"sqlite:///{path}")
    await opened.close()
    before = content(path.parent)
    check_opens(f"sqlite:///{path}")
    assert content(path.parent) == before


async def test_a_look_sees_what_is_in_the_log_alone(tmp_path: Path) -> None:
    """A page that is damaged in the file is whole again where the log has a newer one."""
    path = tmp_path / "kokino.db"
    path.write_bytes(b"")
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("CREATE TABLE found (number)")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        whole = path.read_bytes()
        other.execute("CREATE TABLE lost (number)")
        path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
        assert "the file is damaged" in objection(f"sqlite:///{path}")
        other.execute("INSERT INTO found VALUES (1)")
        other.commit()
        check_opens(f"sqlite:///{path}")


async def test_a_look_that_takes_too_long_finds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is too large to be looked through is refused to nobody for that."""
    path = tmp_path / "kokino.db"
    opened = await open_storage(f"sqlite:///{path}")
    await opened.close()
    monkeypatch.setattr(module, "GLANCE", 0.0)
    monkeypatch.setattr(module, "_check_pages", interrupted)
    check_opens(f"sqlite:///{path}")


def interrupted(_conn: sqlite3.Connection, _path: Path) -> None:
    """Work that is interrupted once its time is over."""
    for timer in [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]:
        timer.join()
    raise sqlite3.OperationalError("interrupted")


async def test_a_locked_database_names_the_way_to_find_who_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program has it open for writing."""
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    path = tmp_path / "kokino.db"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA journal_mode=WAL")
    other.execute("BEGIN IMMEDIATE")
    said = await refusal(f"sqlite:///{path}")
    other.close()
    assert f"{path}: the database is locked by another program" in said
    assert f"fuser {path}" in said


async def test_a_file_where_a_folder_must_be_is_told(tmp_path: Path) -> None:
    """As what it is, with what to do."""
    (tmp_path / "broker").write_text("")
    said = await refusal(default_url(tmp_path))
    assert "Not a directory" in said or "File exists" in said
    assert said.endswith("choose another home or give this user the folder")


async def test_a_folder_where_the_file_must_be_is_told(tmp_path: Path) -> None:
    """SQLite only says that it cannot; the message has the path."""
    assert await refusal(f"sqlite:///{tmp_path}") == f"{tmp_path}: unable to open database file"


def test_the_default_is_below_the_home(tmp_path: Path) -> None:
    """Below the home, in broker/data."""
    assert default_url(tmp_path) == f"sqlite:///{tmp_path}/broker/data/kokino.db"
