"""Failures in a row, and probes, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from kokino.storage import Storage
from kokino.telemetry import store
from kokino.telemetry.model import END_TYPES, Counts, Event, Scope
from kokino.telemetry.probe_store import probes_by_cli
from kokino.telemetry.streak_store import failures_in_a_row

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """An instant on the timeline."""
    return NOW + timedelta(seconds=seconds)


async def ends(
    storage: Storage, *ended: str, agent: str = "a", cli: str = "claude", label: str | None = None
) -> None:
    """Executions end a second apart: ``completed``, ``cancelled``, or ``failed:auth``."""

    def write(conn: Connection) -> None:
        for number, word in enumerate(ended):
            state, _, kind = word.partition(":")
            event = Event(
                type=END_TYPES[state],
                at=at(number),
                agent_id=agent,
                cli_type=cli,
                kind=kind or None,
                label=label,
            )
            store.append(conn, event)

    await storage.write(write)


async def in_a_row(storage: Storage, scope: Scope, since: datetime = NOW) -> dict[str, int]:
    """Failures in a row."""
    return await storage.read(lambda conn: failures_in_a_row(conn, scope=scope, since=since))


async def test_the_order_of_writing_counts_not_the_clock(storage: Storage) -> None:
    """Ends of one instant are told apart by which was written first."""
    await ends(storage, "completed")
    await ends(storage, "failed:auth")
    assert await in_a_row(storage, Scope.AGENT) == {"a": 1}


async def test_rows_of_failures_are_told_by_cli_type_and_by_agent(storage: Storage) -> None:
    """Those without one are left out; what was refused never failed."""
    await ends(storage, "completed", "failed:auth", "failed:auth", agent="a", cli="claude")
    await ends(storage, "failed:auth", "completed", agent="b", cli="codex")
    await ends(storage, "refused:refused", agent="c", cli="claude")
    assert await in_a_row(storage, Scope.CLI) == {"claude": 2}
    assert await in_a_row(storage, Scope.AGENT) == {"a": 2}


async def test_only_users_executions_since_then_make_a_row(storage: Storage) -> None:
    """A good probe ends none, and what is older is forgotten."""
    await ends(storage, "failed:auth", "failed:auth", "failed:auth")
    await ends(storage, "completed", "failed:auth", label="probe")
    assert await in_a_row(storage, Scope.CLI) == {"claude": 3}
    assert await in_a_row(storage, Scope.CLI, at(1)) == {"claude": 2}
    assert await in_a_row(storage, Scope.CLI, at(3)) == {}


async def test_probes_are_counted_for_themselves(storage: Storage) -> None:
    """By CLI type, in a window whose end is not in it; users' work and cancelled probes are none."""
    await ends(storage, "completed", "failed:auth", "cancelled:cancelled", "completed", label="probe")
    await ends(storage, "failed:auth", cli="codex", label="probe")
    await ends(storage, "completed", "completed")
    found = await storage.read(lambda conn: probes_by_cli(conn, since=NOW, until=at(3)))
    assert found == {"claude": Counts(good=1, bad=1), "codex": Counts(good=0, bad=1)}
