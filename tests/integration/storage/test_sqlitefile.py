"""A database's file: looked at, copied while it is in use, and put back."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from kokino.clock import from_ms
from kokino.errors import StorageError
from kokino.storage import Storage, claim, installation, open_storage, sqlitefile
from tests.integration.integrity.damage import tear_page


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is."""
    return tmp_path / "kokino.db"


@pytest.fixture
async def storage(path: Path) -> AsyncIterator[Storage]:
    """An open database with a note in it."""
    opened = await open_storage(f"sqlite:///{path}")
    await opened.write(lambda conn: installation.note_instant(conn, "note", from_ms(1)))
    yield opened
    await opened.close()


def notes(path: Path) -> list[str]:
    """The names of what was noted."""
    with closing(sqlite3.connect(path)) as conn:
        return [row[0] for row in conn.execute("SELECT key FROM installation ORDER BY key")]


@contextmanager
def refused(match: str, path: Path) -> Iterator[None]:
    """What happens inside is refused, leaves the database as it is and nothing else behind."""
    before, beside = path.read_bytes(), sorted(path.parent.iterdir())
    with pytest.raises(StorageError, match=match):
        yield
    assert path.read_bytes() == before
    assert {*sorted(path.parent.iterdir())} <= {*beside, path.with_name("kokino.db.lock")}


async def test_a_copy_of_a_database_in_use_is_whole_and_alone(storage: Storage, path: Path) -> None:
    """It holds what was committed and not yet folded into the file, and needs no log beside it."""
    backup = path.parent / "backups" / "copy.db"
    sqlitefile.back_up(path, backup)
    assert notes(backup) == ["note"]
    assert sorted(one.name for one in backup.parent.iterdir()) == ["copy.db"]
    assert (backup.stat().st_mode & 0o777, backup.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    await storage.write(lambda conn: installation.note_instant(conn, "later", from_ms(2)))
    assert notes(backup) == ["note"]


async def test_a_torn_page_is_seen_past_what_readers_remember(storage: Storage, path: Path) -> None:
    """A connection that has read the page before would not see it."""
    assert await storage.read(lambda conn: installation.noted_instant(conn, "note")) == from_ms(1)
    assert sqlitefile.faults_in(path) == []
    tear_page(path, "installation")
    assert sqlitefile.faults_in(path)


async def test_a_restore_needs_the_database_for_itself(
    storage: Storage, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that runs keeps it."""
    monkeypatch.setattr(claim, "PATIENCE", 0.1)
    backup = tmp_path / "copy.db"
    sqlitefile.back_up(path, backup)
    with refused("another broker uses this database", path):
        sqlitefile.restore(backup, path, aside="old")


async def test_a_restore_puts_the_backup_in_place_and_keeps_what_was_there(
    storage: Storage, path: Path, tmp_path: Path
) -> None:
    """The log of the one that was there goes with it: beside another database it would be its ruin."""
    backup = tmp_path / "copy.db"
    sqlitefile.back_up(path, backup)
    await storage.write(lambda conn: installation.note_instant(conn, "later", from_ms(2)))
    await storage.close()
    put_and_look(backup, path)


def put_and_look(backup: Path, path: Path) -> None:
    """The rest of the test above, which blocks."""
    Path(f"{path}-wal").write_bytes(b"left by a crash")
    done = sqlitefile.restore(backup, path, aside="old")
    assert notes(path) == ["note"]
    assert done.kept == path.with_name("kokino.db.old")
    kept_log = Path(f"{done.kept}-wal")
    assert kept_log.read_bytes() == b"left by a crash"
    assert path.stat().st_mode & 0o777 == 0o600
    kept_log.unlink()
    assert notes(done.kept) == ["later", "note"]


async def crashed(storage: Storage, path: Path) -> tuple[Path, Path]:
    """A backup, and a database as a crash leaves it: what was noted after the backup is in its log alone."""
    backup, left = path.parent / "copy.db", path.parent / "left" / "kokino.db"
    sqlitefile.back_up(path, backup)
    await storage.write(lambda conn: installation.note_instant(conn, "later", from_ms(2)))
    left.parent.mkdir()
    for ending in ("", "-wal"):
        shutil.copy(f"{path}{ending}", f"{left}{ending}")
    return backup, left


@pytest.mark.parametrize("where", ["_keep", "_fold_in", "_settle"])
async def test_an_interrupted_restore_changes_nothing(
    storage: Storage, path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Ctrl-C at any moment: the database reads as before, its log with it, and nothing is left beside it."""
    backup, left = await crashed(storage, path)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sqlitefile, where, interrupted)
    with pytest.raises(KeyboardInterrupt):
        sqlitefile.restore(backup, left, aside="old")
    assert {one.name for one in left.parent.iterdir()} <= {"kokino.db", "kokino.db-wal", "kokino.db.lock"}
    assert notes(left) == ["later", "note"]


KILLED = """
import os, signal, sys
from pathlib import Path
from kokino.storage import sqlitefile

sqlitefile.{where} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
sqlitefile.restore(Path(sys.argv[1]), Path(sys.argv[2]), aside="old")
"""


@pytest.mark.parametrize("where", ["_fold_in", "_settle"])
async def test_a_killed_restore_leaves_the_last_commits(storage: Storage, path: Path, where: str) -> None:
    """The database is in its place with all that was in its log, and the next restore succeeds."""
    backup, left = await crashed(storage, path)
    restore = [sys.executable, "-c", KILLED.format(where=where), str(backup), str(left)]
    done = await asyncio.to_thread(subprocess.run, restore, check=False)
    assert done.returncode == -signal.SIGKILL
    assert notes(left) == ["later", "note"]
    sqlitefile.restore(backup, left, aside="older")
    assert notes(left) == ["note"]
    assert notes(left.with_name("kokino.db.older")) == ["later", "note"]


async def test_only_a_whole_database_of_ours_is_restored(
    storage: Storage, path: Path, tmp_path: Path
) -> None:
    """Not one that is damaged, foreign, missing or the database itself; the present one stays as it is."""
    await storage.close()
    damaged, foreign, text = (tmp_path / name for name in ("damaged.db", "foreign.db", "text.db"))
    sqlitefile.back_up(path, damaged)
    tear_page(damaged, "installation")
    with closing(sqlite3.connect(foreign)) as conn:
        conn.execute("CREATE TABLE theirs (x)")
    text.write_text("no database at all, but longer than a header of one hundred bytes" * 20)
    for file, why in (
        (damaged, "damaged itself"),
        (foreign, "no database of Kokino's"),
        (text, "damaged itself"),
        (tmp_path / "nothing.db", "no such file"),
        (path, "the database itself"),
    ):
        with refused(why, path):
            sqlitefile.restore(file, path, aside="old")


async def test_a_backup_of_a_newer_version_is_not_restored(storage: Storage, path: Path) -> None:
    """No broker of this version would start with it; the present database stays as it is."""
    await storage.close()
    backup = path.parent / "backups" / "newer.db"
    sqlitefile.back_up(path, backup)
    with closing(sqlite3.connect(backup)) as conn, conn:
        conn.execute("UPDATE alembic_version SET version_num = '9999'")
    with refused("newer.db: its schema 9999 is of a newer Kokino", path):
        sqlitefile.restore(backup, path, aside="old")


async def test_of_a_damaged_database_no_backup_is_made(storage: Storage, path: Path, tmp_path: Path) -> None:
    """What is said is about the database, and names where older ones are; nothing half is left."""
    damaged, target = tmp_path / "damaged.db", tmp_path / "backups" / "b.db"
    sqlitefile.back_up(path, damaged)
    tear_page(damaged, "installation")
    with pytest.raises(StorageError) as caught:
        sqlitefile.back_up(damaged, target)
    said = str(caught.value)
    assert said.startswith(f"{damaged}: the database is damaged (")
    assert f"put an earlier one of {target.parent} in its place" in said
    assert await asyncio.to_thread(lambda: list(target.parent.iterdir())) == []


async def test_a_backup_that_nobody_waits_for_any_more_leaves_nothing(storage: Storage, path: Path) -> None:
    """A broker that stops is not held up by it."""
    given_up = threading.Event()
    given_up.set()
    backup = path.parent / "backups" / "copy.db"
    backup.parent.mkdir()
    with refused("given up", path):
        sqlitefile.back_up(path, backup, given_up)
    assert list(backup.parent.iterdir()) == []
