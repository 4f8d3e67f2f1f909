"""Look at the database's files: at SQLite's by ourselves, at a server's by its own extension."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection

from kokino.errors import StorageError
from kokino.integrity import findings, store
from kokino.integrity.model import Kind
from kokino.integrity.seen import Seen
from kokino.integrity.thread import in_thread
from kokino.storage import Reading, amcheck, sqlitefile


async def look_at_files(storage: Reading, seen: Seen) -> None:
    """Note damage. Where nobody can look, what the last look found still holds: not looking mends nothing."""
    if storage.file is None:
        await _server(storage, seen)
    else:
        for said in await in_thread(partial(sqlitefile.faults_in, storage.file)):
            seen.note(findings.damaged(said, is_file=True))
    if seen.not_checked and Kind.FILE_DAMAGE not in seen.counts:
        check_id = await storage.read(store.damaged_at)
        if check_id is not None:
            seen.note(findings.still_damaged(check_id, seen.not_checked))


async def _server(storage: Reading, seen: Seen) -> None:
    """What the server's own extension says, where it is there and we may ask it."""
    if not await storage.read(amcheck.is_installed):
        seen.not_checked.append(amcheck.MISSING)
        return
    tables, indexes = await storage.read(amcheck.relations)
    looks = [
        *((table.said, partial(amcheck.faults_in_table, table=table)) for table in tables),
        *((index.said, partial(amcheck.faults_in_index, index=index)) for index in indexes),
    ]
    for name, read in looks:
        try:
            for said in await _faults_of(storage, name, read):
                seen.note(findings.damaged(said, is_file=False))
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - the driver's own: this user may not call the functions
            seen.not_checked.append(f"the server's files: {_first_line(error)}")
            return


async def _faults_of(storage: Reading, name: str, read: Callable[[Connection], list[str]]) -> list[str]:
    """What is wrong with one relation; that a server gives up reading it is wrong with it too."""
    try:
        return await storage.read(read)
    except StorageError as error:
        if (said := amcheck.damage_in(error)) is None:
            raise
        return [f"{name}: {said}"]


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
