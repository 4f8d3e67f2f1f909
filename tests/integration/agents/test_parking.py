"""Accounts that are parked and released, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from kokino.agents import parking, traffic_store
from kokino.agents.model import Pause, Scope
from kokino.agents.parking import KOKINO, Parking
from kokino.storage import Storage
from kokino.telemetry import store as telemetry
from kokino.telemetry.model import Event

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def ahead(**length: float) -> datetime:
    """So long from now."""
    return NOW + timedelta(**length)


async def park(storage: Storage, error: str, *, account: str = "team", now: datetime = NOW) -> None:
    """An execution ends for want of quota."""
    await storage.write(lambda conn: parking.park(conn, account, error, told=None, now=now))


async def pauses(storage: Storage) -> list[tuple[str, str, datetime | None]]:
    """Account, by whom, until when."""
    found = await storage.read(traffic_store.paused)
    return sorted((one.scope_id, one.set_by, one.ends_at) for one in found)


async def told(storage: Storage) -> list[Event]:
    """All events, in the order in which they were written."""
    return sorted(await storage.read(telemetry.recent), key=lambda event: event.event_id or 0)


async def test_an_account_is_parked_for_as_long_as_its_cli_said(storage: Storage) -> None:
    """With what it said as the reason; a second agent's word changes it only to a later end."""
    await park(storage, "try again in 2 hours")
    await park(storage, "no quota left")
    await park(storage, "try again in 3 hours")
    assert await pauses(storage) == [("team", KOKINO, ahead(hours=3))]
    first, second = await told(storage)
    assert (first.type, first.account, first.message) == (
        "ACCOUNT_PAUSED",
        "team",
        "kokino: quota: try again in 2 hours",
    )
    assert first.data == {"scope": "account", "id": "team", "endsAt": "2026-01-05T11:00:00.000Z"}
    assert second.data is not None
    assert second.data["endsAt"] == "2026-01-05T12:00:00.000Z"


async def test_a_pause_that_somebody_set_is_theirs(storage: Storage) -> None:
    """It is neither shortened nor made longer, and nothing is told."""
    own = Pause(
        scope=Scope.ACCOUNT,
        scope_id="team",
        reason="audit",
        since=NOW,
        set_by="ada",
        ends_at=ahead(minutes=5),
    )
    await storage.write(lambda conn: traffic_store.pause(conn, own))
    await park(storage, "try again in 2 hours")
    assert await storage.read(traffic_store.paused) == [own]
    assert await told(storage) == []


async def test_pauses_lift_themselves_at_their_end_and_not_before(storage: Storage) -> None:
    """The module says when it has to look again; a pause without an end is nobody's but a person's."""
    changes: list[str] = []
    module = Parking(storage, on_change=lambda: changes.append("changed"))
    await park(storage, "try again in 1 hour", account="a")
    await park(storage, "try again in 2 hours", account="b")
    endless = Pause(scope=Scope.ALL, scope_id="", reason="upgrade", since=NOW, set_by="ada")
    await storage.write(lambda conn: traffic_store.pause(conn, endless))

    assert await module.run(ahead(minutes=59)) == ahead(hours=1)
    assert changes == []
    assert await module.run(ahead(hours=1)) == ahead(hours=2)
    assert changes == ["changed"]
    assert [name for name, _, _ in await pauses(storage)] == ["", "b"]
    assert await module.run(ahead(hours=2)) is None
    assert await pauses(storage) == [("", "ada", None)]
    assert [(event.type, event.account) for event in await told(storage)][2:] == [
        ("ACCOUNT_RESUMED", "a"),
        ("ACCOUNT_RESUMED", "b"),
    ]


async def test_a_pause_that_was_renewed_meanwhile_is_not_lifted(storage: Storage) -> None:
    """What is written decides, not what was read before."""

    def lift_early(conn: Connection) -> list[Pause]:
        return parking.lift_ended(conn, ahead(minutes=30))

    await park(storage, "try again in 1 hour")
    assert await storage.write(lift_early) == []
    assert await pauses(storage) == [("team", KOKINO, ahead(hours=1))]
