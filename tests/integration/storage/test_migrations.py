"""Migrations end at the schema that the code declares, whatever happens on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from importlib.resources import as_file, files
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, make_url, text

from kokino.errors import StorageError
from kokino.storage import check_opens, open_storage, revision
from kokino.storage.migrate import migrate
from kokino.storage.schema import metadata
from kokino.storage.sqlite import writing_engine


@pytest.fixture
def engine(storage_url: str) -> Iterator[Engine]:
    """An empty database of each kind, as `open_storage` migrates it."""
    url = make_url(storage_url)
    is_sqlite = url.get_backend_name() == "sqlite"
    engine = writing_engine(url.database) if is_sqlite else create_engine(url)  # type: ignore[arg-type]
    yield engine
    engine.dispose()


def differences(engine: Engine) -> list[Any]:
    """What another migration would have to change."""
    with engine.connect() as conn:
        context = MigrationContext.configure(
            conn, opts={"compare_type": True, "compare_server_default": True}
        )
        found: list[Any] = compare_metadata(context, metadata)
        return found


def test_migrations_end_exactly_at_the_declared_schema(engine: Engine) -> None:
    """Tables, columns, types, indexes and keys: nothing is left to do."""
    migrate(engine)
    assert differences(engine) == []


def test_migrating_twice_is_migrating_once(engine: Engine) -> None:
    """Every start does it."""
    migrate(engine)
    migrate(engine)
    assert differences(engine) == []


def test_a_migration_that_is_cut_short_leaves_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that is killed at its first start can be started again."""
    create, created = Operations.create_table, list[str]()

    def cut_short(self: Operations, name: str, *args: Any, **options: Any) -> Any:
        if len(created) == 3:
            raise KeyboardInterrupt
        created.append(name)
        return create(self, name, *args, **options)

    monkeypatch.setattr(Operations, "create_table", cut_short)
    with pytest.raises(KeyboardInterrupt):
        migrate(engine)
    monkeypatch.undo()
    assert len(created) == 3
    assert inspect(engine).get_table_names() == []
    migrate(engine)
    assert differences(engine) == []


async def test_programs_that_open_it_together_migrate_once(postgresql_url: str) -> None:
    """A broker and its onlookers on one empty server: one migrates, the others wait for it."""
    opened = await asyncio.gather(*(open_storage(postgresql_url, alone=number == 0) for number in range(3)))
    for storage in opened:
        await storage.read(lambda conn: conn.exec_driver_sql("SELECT count(*) FROM executions").scalar_one())
        await storage.close()


def test_the_scripts_names_tell_the_revisions() -> None:
    """What every start goes by is what the migration tool says."""
    with as_file(files("kokino.storage")) as root:
        scripts = ScriptDirectory(str(root / "migrations"))
        assert revision.known() == tuple(sorted(each.revision for each in scripts.walk_revisions()))
        assert revision.head() == scripts.get_current_head()


async def test_a_schema_of_a_newer_version_is_left_alone(storage_url: str) -> None:
    """Neither a start nor a restart goes on with what it does not know; both say what to do."""
    storage = await open_storage(storage_url)
    await storage.write(lambda conn: conn.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    await storage.close()

    with pytest.raises(StorageError, match="schema 9999 is of a newer Kokino") as refused:
        await open_storage(storage_url)
    with pytest.raises(StorageError, match="schema 9999") as checked:
        check_opens(storage_url)

    assert str(refused.value) == str(checked.value)
