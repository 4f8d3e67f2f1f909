"""One broker for each database: a second one would take the first one's running executions for lost ones."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import psycopg
import pytest

from kokino.errors import StorageError
from kokino.storage import Storage, claim, open_storage
from kokino.storage.session_claim import claim_session
from tests.integration.storage.rows import keys, note
from tests.integration.storage.test_postgresql import CUT

#: Opens a database, leaves a child that could inherit anything and ends with its input, and waits.
BROKER = """
import asyncio, subprocess, sys
from kokino.storage import open_storage

async def hold(url):
    storage = await open_storage(url)
    child = "import sys; sys.stdin.read(); print('outlived it')"
    subprocess.Popen([sys.executable, "-c", child], close_fds=False)
    print("holds", flush=True)
    await asyncio.Event().wait()

asyncio.run(hold(sys.argv[1]))
"""


async def refusal(url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a second broker is told."""
    with monkeypatch.context() as impatient:
        impatient.setattr(claim, "PATIENCE", 0.05)
        with pytest.raises(StorageError) as caught:
            await open_storage(url)
    return caught.value.message


async def test_a_second_broker_is_refused_and_harms_nothing(
    storage: Storage, new_storage_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told who has the database and what to do; the first one goes on."""
    said = await refusal(new_storage_url, monkeypatch)
    assert f"another broker uses this database (pid {os.getpid()} on host " in said
    assert said.endswith("stop it, or give this one a database of its own")
    await storage.write(note("a"))
    assert await storage.read(keys) == {"a"}


async def test_an_onlooker_comes_and_goes_beside_a_broker(
    storage: Storage, new_storage_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads what the broker writes, and the broker keeps its claim."""
    await storage.write(note("a"))
    onlooker = await open_storage(new_storage_url, alone=False)
    assert await onlooker.read(keys) == {"a"}
    await onlooker.close()
    assert "another broker" in await refusal(new_storage_url, monkeypatch)


async def test_a_broker_that_closes_makes_room(storage: Storage, new_storage_url: str) -> None:
    """The next one needs no cleaning up."""
    await storage.close()
    successor = await open_storage(new_storage_url)
    await successor.write(note("a"))
    await successor.close()


async def test_a_broker_that_is_killed_makes_room_although_its_children_live(
    new_storage_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The warden and the executions outlive their broker; its claim must not."""
    broker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BROKER, new_storage_url, stdin=PIPE, stdout=PIPE
    )
    assert broker.stdin is not None
    assert broker.stdout is not None
    assert await broker.stdout.readline() == b"holds\n"
    assert f"(pid {broker.pid} on host " in await refusal(new_storage_url, monkeypatch)
    broker.kill()
    await (await open_storage(new_storage_url)).close()
    broker.stdin.close()
    assert await broker.stdout.read() == b"outlived it\n"
    await broker.wait()


async def test_a_file_by_another_name_is_the_same_file(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home that is reached by a symbolic link does not open a second door."""
    storage = await open_storage(sqlite_url)
    (tmp_path / "link.db").symlink_to(tmp_path / "kokino.db")
    assert "another broker" in await refusal(f"sqlite:///{tmp_path}/link.db", monkeypatch)
    await storage.close()


async def test_a_refused_broker_leaves_an_empty_database_as_it_is(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim comes before the migration: a newer version cannot change the tables under an older one."""
    with psycopg.connect(postgresql_url.replace("+psycopg", ""), autocommit=True) as holder:
        claim_session(holder, "here")
        await refusal(postgresql_url, monkeypatch)
        assert holder.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


async def test_a_broker_that_lost_its_session_to_another_writes_nothing(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused for as long as the other one is there, and goes on afterwards."""
    first = await open_storage(postgresql_url)
    with psycopg.connect(postgresql_url.replace("+psycopg", ""), autocommit=True) as outside:
        outside.execute(CUT)
    second = await open_storage(postgresql_url)
    with monkeypatch.context() as impatient:
        impatient.setattr(claim, "PATIENCE", 0.05)
        with pytest.raises(StorageError, match="another broker uses this database"):
            await first.write(note("a"))
    await second.close()
    await first.write(note("b"))
    assert await first.read(keys) == {"b"}
    await first.close()
