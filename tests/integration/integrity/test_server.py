"""PostgreSQL's own look at its files, its own backups, and what is kept of checks."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import make_url

from kokino.errors import Conflict
from kokino.integrity import store
from kokino.integrity.checks import look
from kokino.integrity.cleaning import clean_up
from kokino.integrity.model import Kind
from kokino.integrity.retention_store import CHECKS
from kokino.integrity.service import Integrity
from kokino.storage import Storage, open_storage
from kokino.telemetry import store as telemetry
from kokino.testing.clock import ManualClock
from tests.fixtures.postgresql import SUPERUSER, Cluster, running_server, server_binaries, stopped_cluster
from tests.integration.integrity.conftest import Plant, converse
from tests.integration.integrity.damage import misdirect, smash_header, swap_items, write_past
from tests.integration.integrity.test_checks import ORPHAN, RECORD

ROOT = Path(__file__).resolve().parents[3]
#: Random, for what repeats itself is squeezed into its row.
LONG_RECORD = (
    "INSERT INTO records (execution_id, number, stream, body, size, written_at, attempt)"
    " SELECT 'exec-1', 1, 'stdout', string_agg(md5(random()::text), ''), 1, 0, 1 FROM generate_series(1, 500)"
)


async def test_the_extension_is_used_where_it_is_installed(
    integrity: Integrity, whole: Storage, plant: Plant
) -> None:
    """Then nothing is left that was not checked."""
    if whole.dialect == "sqlite":
        assert (await integrity.check(by="test")).not_checked == []
        return
    plant("CREATE EXTENSION amcheck")
    report = await integrity.check(by="test")
    assert (report.passed, report.not_checked) == (True, [])


async def test_damage_is_not_over_because_nobody_can_look(
    integrity: Integrity, whole: Storage, plant: Plant
) -> None:
    """Without the extension no check passes after one that found damage; with it one does."""
    found = await integrity.check(by="test")
    damaged = replace(found, check_id="check-d", counts={Kind.FILE_DAMAGE: 1}, total=1, not_checked=[])
    await whole.write(lambda conn: store.record(conn, damaged))
    if whole.dialect == "sqlite":
        assert (await integrity.check(by="test")).passed  # the file itself was looked at
        return
    for _ in range(2):
        report = await integrity.check(by="test")
        assert (report.passed, report.is_damaged) == (False, True)
        assert next(iter(await whole.read(telemetry.recent))).type == "INTEGRITY_CHECK_FAILED"
    with pytest.raises(Conflict, match="amcheck is not installed"):
        await clean_up(integrity, is_dry_run=False, reference="kokino.dump", by="test")
    plant("CREATE EXTENSION amcheck")
    assert (await integrity.check(by="test")).passed


async def test_old_checks_go_and_the_last_one_stays(
    integrity: Integrity, whole: Storage, clock: ManualClock
) -> None:
    """Of a broker that was off for long, the last check is what is known."""
    made = [await integrity.check(by="test") for _ in range(3)]
    than = clock.now() + timedelta(days=1)
    keys = await whole.read(lambda conn: CHECKS.find(conn, than=than, limit=10))
    await whole.write(lambda conn: CHECKS.delete(conn, keys, than=than))
    assert [one.check_id for one in await integrity.history(limit=5)] == [made[-1].check_id]


async def test_damage_in_a_servers_files_is_named_in_words() -> None:
    """A page of a table, a row, an index and a long value: each by the name of its table, never repaired."""
    binaries = server_binaries()
    assert binaries is not None
    with stopped_cluster(binaries) as folder:
        with running_server(binaries, folder) as cluster, cluster.connect() as admin:
            admin.execute("CREATE DATABASE kokino")
            files = await _written(cluster.url("kokino"), cluster)
        smash_header(files["turns"])
        misdirect(files["executions"])
        swap_items(files["pk_executions"], page=1)
        smash_header(files["long values of records"])
        with running_server(binaries, folder) as cluster:
            storage = await open_storage(cluster.url("kokino"))
            seen = await look(storage)
            await storage.close()
    told = [finding.message for finding in seen.findings if finding.kind is Kind.FILE_DAMAGE]
    for name, said in {
        "turns": "invalid page in block 0",
        "executions": "line pointer",
        "pk_executions": "item order invariant violated",
        "long values of records": "invalid page in block 0",
    }.items():
        assert any(one.startswith(f"the database is damaged: {name}: ") and said in one for one in told), told
    assert any(missed.startswith("conversations: ") for missed in seen.not_checked)


async def _written(url: str, cluster: Cluster) -> dict[str, Path]:
    """A database with two conversations and a record that is too long for its row; its files, by name."""
    storage = await open_storage(url)
    await storage.write(lambda conn: converse(conn, "c1", range(1, 4)))
    await storage.close()
    names = {
        "turns": "'turns'::regclass",
        "executions": "'executions'::regclass",
        "pk_executions": "'pk_executions'::regclass",
        "long values of records": "(SELECT reltoastrelid FROM pg_class WHERE oid = 'records'::regclass)",
    }
    with cluster.connect("kokino") as admin:
        admin.execute("CREATE EXTENSION amcheck")
        admin.execute(LONG_RECORD)
        asked = ", ".join(f"pg_relation_filepath({name}::oid)" for name in names.values())
        row = admin.execute(f"SELECT {asked}".encode()).fetchone()
    assert row is not None
    return {name: cluster.folder / "data" / path for name, path in zip(names, row, strict=True)}


async def test_a_servers_backup_is_made_and_restored_as_documented(
    postgresql_cluster: Cluster, postgresql_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    """The commands of docs/integrity.md, run as they stand there: what was damaged since is whole again."""
    storage = await open_storage(postgresql_url)
    await storage.write(lambda conn: converse(conn, "c1", range(1, 4)))
    dump, *restore = documented("pg_dump", "createdb", "pg_restore")
    run(dump, postgresql_cluster, postgresql_url, tmp_path)
    write_past(postgresql_url, "DELETE FROM turns", ORPHAN.format(1, "gone"), RECORD)
    assert (await look(storage)).counts == {Kind.ORPHANED_TURN: 1, Kind.FOREIGN_KEY: 1}
    await storage.close()
    try:
        for command in restore:
            run(command, postgresql_cluster, postgresql_url, tmp_path)
        restored = await open_storage(postgresql_cluster.url("kokino_restored"))
        seen = await look(restored)
        await restored.close()
    finally:
        with postgresql_cluster.connect() as admin:
            admin.execute("DROP DATABASE IF EXISTS kokino_restored")
    assert (seen.total, seen.conversations, seen.turns) == (0, 1, 6)


def documented(*programs: str) -> list[str]:
    """The commands of the page that start one of these, in the order in which they stand there."""
    page = (ROOT / "docs" / "integrity.md").read_text(encoding="utf-8")
    return [line for line in page.splitlines() if line.split(" ")[0] in programs]


def run(command: str, cluster: Cluster, url: str, folder: Path) -> None:
    """As its administrator does, in `folder`."""
    binaries = server_binaries()
    environment = {
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "PGHOST": str(cluster.folder),
        "PGUSER": SUPERUSER,
        "KOKINO_DATABASE_URL": make_url(url).set(drivername="postgresql").render_as_string(False),
    }
    subprocess.run(["bash", "-euc", command], cwd=folder, env=environment, check=True, timeout=60)
