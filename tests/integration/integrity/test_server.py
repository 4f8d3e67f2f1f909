"""PostgreSQL's own look at its files, and what is kept of checks."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kokino.errors import Conflict
from kokino.integrity import store
from kokino.integrity.model import Kind
from kokino.integrity.retention_store import CHECKS
from kokino.integrity.service import Integrity
from kokino.storage import Storage
from kokino.telemetry import store as telemetry
from kokino.testing.clock import ManualClock
from tests.integration.integrity.conftest import Plant


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
        await integrity.cleanup(is_dry_run=False, reference="kokino.dump", by="test")
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
