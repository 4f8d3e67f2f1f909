"""PostgreSQL's own look at its files, and what is kept of checks."""

from __future__ import annotations

from datetime import timedelta

from kokino.integrity.retention_store import CHECKS
from kokino.integrity.service import Integrity
from kokino.storage import Storage
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


async def test_old_checks_go_and_the_last_one_stays(
    integrity: Integrity, whole: Storage, clock: ManualClock
) -> None:
    """Of a broker that was off for long, the last check is what is known."""
    made = [await integrity.check(by="test") for _ in range(3)]
    than = clock.now() + timedelta(days=1)
    keys = await whole.read(lambda conn: CHECKS.find(conn, than=than, limit=10))
    await whole.write(lambda conn: CHECKS.delete(conn, keys, than=than))
    assert [one.check_id for one in await integrity.history(limit=5)] == [made[-1].check_id]
