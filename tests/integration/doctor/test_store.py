"""Diagnoses in the database, with the events that tell of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from kokino.doctor import store
from kokino.doctor.model import Check, Diagnosis
from kokino.storage import Storage
from kokino.telemetry import store as telemetry

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def diagnosis(*, passed: bool, minute: int = 0, cli_type: str = "codex") -> Diagnosis:
    """With one check that is needed, and one that is not and never passes."""
    return Diagnosis(
        cli_type=cli_type,
        checks=(
            Check(name="auth", passed=passed, message="nobody", mend="log in", warnings=("ends soon",)),
            Check(name="version", passed=False, message="old", is_required=False),
        ),
        checked_at=NOW + timedelta(minutes=minute),
    )


def told(conn: Connection) -> list[str]:
    """The events, oldest first, without those of single checks."""
    events = telemetry.recent(conn, limit=100)
    return [f"{one.type} {one.cli_type}" for one in reversed(events) if "CHECK" not in one.type]


async def test_the_latest_one_is_kept_whole(storage: Storage) -> None:
    """As it was made, one for each CLI type."""
    for minute in (0, 1):
        await storage.write(partial(store.note, diagnosis=diagnosis(passed=True, minute=minute)))
    await storage.write(lambda conn: store.note(conn, diagnosis(passed=False, cli_type="gemini")))
    assert await storage.read(store.everything) == {
        "codex": diagnosis(passed=True, minute=1),
        "gemini": diagnosis(passed=False, cli_type="gemini"),
    }


async def test_a_change_is_told_once_and_every_check_each_time(storage: Storage) -> None:
    """That all is well is news only after it was not."""
    for minute, passed in enumerate((True, False, False, True, True)):
        await storage.write(partial(store.note, diagnosis=diagnosis(passed=passed, minute=minute)))
    assert await storage.read(told) == ["ENV_DEGRADED codex", "ENV_RESTORED codex"]

    events = await storage.read(lambda conn: telemetry.recent(conn, limit=100))
    checks = [(one.type, (one.data or {})["check"]) for one in events if "CHECK" in one.type]
    assert checks.count(("ENV_CHECK_FAILED", "auth")) == 2
    assert checks.count(("ENV_CHECK_PASSED", "version")) == 5  # nothing that is needed
    [degraded] = [one for one in events if one.type == "ENV_DEGRADED"]
    assert (degraded.message, degraded.data) == ("auth: nobody", {"checks": ["auth"]})


async def test_one_that_is_unwell_from_the_first_is_told(storage: Storage) -> None:
    """There was no diagnosis before."""
    await storage.write(lambda conn: store.note(conn, diagnosis(passed=False)))
    assert await storage.read(told) == ["ENV_DEGRADED codex"]


async def test_what_nobody_uses_any_more_is_over(storage: Storage) -> None:
    """Once; and nothing is told of what was well."""
    await storage.write(lambda conn: store.note(conn, diagnosis(passed=False)))
    await storage.write(lambda conn: store.note(conn, diagnosis(passed=True, cli_type="gemini")))
    for _ in range(2):
        await storage.write(lambda conn: store.forget_others(conn, ["qwen"], NOW))
    assert await storage.read(told) == ["ENV_DEGRADED codex", "ENV_RESTORED codex"]
    assert await storage.read(store.everything) == {}
