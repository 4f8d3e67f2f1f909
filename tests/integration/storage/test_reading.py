"""A database that is looked into stays as it is."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from sqlalchemy import text

from kokino.clock import from_ms
from kokino.errors import StorageError
from kokino.storage import Storage, installation, look_into, open_storage


async def test_a_look_reads_and_writes_nothing(storage: Storage, new_storage_url: str) -> None:
    """Beside a broker, which it does not keep out; the database itself refuses a write."""
    await storage.write(lambda conn: installation.note_instant(conn, "note", from_ms(1)))
    looked = look_into(new_storage_url)
    await looked.check_version()
    assert await looked.read(lambda conn: installation.noted_instant(conn, "note")) == from_ms(1)
    with pytest.raises(StorageError, match=r"read.?only"):
        await looked.read(lambda conn: installation.note_instant(conn, "note", from_ms(2)))
    assert looked.file == storage.file


async def test_what_a_crash_left_in_the_log_is_read_and_stays_there(tmp_path: Path) -> None:
    """Whoever opens it to write would fold it into the file: the evidence of a damage would be gone."""
    path, left = tmp_path / "kokino.db", tmp_path / "left" / "kokino.db"
    storage = await open_storage(f"sqlite:///{path}")
    await storage.write(lambda conn: installation.note_instant(conn, "note", from_ms(1)))
    before = await asyncio.to_thread(_crash, path, left)
    await storage.close()
    looked = look_into(f"sqlite:///{left}")
    assert await looked.read(lambda conn: installation.noted_instant(conn, "note")) == from_ms(1)
    assert await asyncio.to_thread(_files, left) == before


def _crash(path: Path, left: Path) -> dict[str, bytes]:
    left.parent.mkdir()
    for ending in ("", "-wal"):
        shutil.copy(f"{path}{ending}", f"{left}{ending}")
    return _files(left)


def _files(path: Path) -> dict[str, bytes]:
    """The database and its log; what lies in shared memory is nobody's evidence."""
    return {ending: Path(f"{path}{ending}").read_bytes() for ending in ("", "-wal")}


async def test_a_database_of_another_version_is_told(storage: Storage, new_storage_url: str) -> None:
    """Its tables may be others: what they hold would be told wrongly."""
    await storage.write(lambda conn: conn.execute(text("UPDATE alembic_version SET version_num = '0001'")))
    with pytest.raises(StorageError, match=r"its schema is 0001, and this command knows \d+: start"):
        await look_into(new_storage_url).check_version()


async def test_a_database_of_a_newer_version_asks_for_that_version(
    storage: Storage, new_storage_url: str
) -> None:
    """This version's broker would not open it, so that one is not told of."""
    await storage.write(lambda conn: conn.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(StorageError, match="schema 9999 is of a newer Kokino"):
        await look_into(new_storage_url).check_version()


def test_there_is_nothing_to_look_into_where_no_file_is(tmp_path: Path) -> None:
    """And none is made by the look."""
    with pytest.raises(StorageError, match="does not exist"):
        look_into(f"sqlite:///{tmp_path / 'kokino.db'}")
    assert list(tmp_path.iterdir()) == []
