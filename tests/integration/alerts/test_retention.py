"""Changes of alerts, and silences, are kept for a time; the beginning of an episode as long as it goes on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from kokino.alerts import episode_store, received_store, retention_store, silence_store
from kokino.alerts import store as alert_store
from kokino.alerts.matcher import Matcher
from kokino.alerts.model import fingerprint
from kokino.alerts.received import Told
from kokino.alerts.silence import Silence
from kokino.storage import Storage
from kokino.storage.schema import alert_transitions
from kokino.telemetry.retention import Retention
from tests.fixtures.episodes import Episodes

T = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
HOUR, KEPT = timedelta(hours=1), timedelta(days=400)


async def swept(storage: Storage, now: datetime) -> None:
    """One run, which is enough for a few rows."""
    shelves = (
        retention_store.CHANGES,
        retention_store.ALERTS,
        retention_store.RECEIVED,
        retention_store.SILENCES,
    )
    kept = dict.fromkeys(shelves, KEPT)
    await Retention(storage, kept).run(now)


async def test_an_episode_that_goes_on_keeps_its_beginning(storage: Storage, episodes: Episodes) -> None:
    """One that is over goes, change by change."""
    await episodes.resolve(await episodes.fire(T), T + HOUR)
    again = await episodes.fire(T + 2 * HOUR)
    watchdog = await episodes.fire(T, rule_id="watchdog")

    await swept(storage, T + KEPT + 2 * HOUR)

    rows = await storage.read(lambda conn: conn.execute(select(alert_transitions.c.episode_id)).all())
    assert {row.episode_id for row in rows} == {again, watchdog}
    begun = await storage.read(lambda conn: episode_store.start(conn, watchdog))
    assert begun is not None
    assert begun.at == T


async def test_a_silence_goes_long_after_its_end(storage: Storage) -> None:
    """Counted from when it was to end."""

    def silence(name: str, ends_at: datetime) -> Silence:
        return Silence(
            silence_id=name,
            matchers=(Matcher(name="rule", value="x"),),
            comment="",
            created_by="me",
            created_at=T,
            ends_at=ends_at,
        )

    for one in (silence("old", T + HOUR), silence("young", T + 2 * HOUR)):
        await storage.write(lambda conn, one=one: silence_store.add(conn, one))  # type: ignore[misc]
    await swept(storage, T + KEPT + 2 * HOUR)
    left = await storage.read(lambda conn: silence_store.page(conn, limit=10))
    assert [one.silence_id for one in left] == ["young"]


async def test_an_alert_goes_after_all_that_it_did(storage: Storage, episodes: Episodes) -> None:
    """What others tell has new labels each time; one that fires stays, however long."""
    await episodes.resolve(await episodes.fire(T), T + HOUR)
    await episodes.fire(T, rule_id="watchdog")

    async def left() -> list[str]:
        return [one.rule_id for one in await storage.read(alert_store.listed)]

    await swept(storage, T + KEPT + HOUR)
    assert len(await left()) == 2
    await swept(storage, T + KEPT + 2 * HOUR)
    assert await left() == ["watchdog"]


async def test_what_came_back_while_old_rows_were_looked_for_stays(
    storage: Storage, episodes: Episodes
) -> None:
    """Between the search and the deletion an alert may fire again."""
    await episodes.resolve(await episodes.fire(T), T + HOUR)
    await storage.write(lambda conn: conn.execute(alert_transitions.delete()))
    than = T + KEPT
    keys = await storage.read(lambda conn: retention_store.ALERTS.find(conn, than=than, limit=9))
    assert len(keys) == 1
    await episodes.fire(T + 2 * HOUR)
    await storage.write(lambda conn: retention_store.ALERTS.delete(conn, keys, than=than))
    assert len(await storage.read(alert_store.listed)) == 1


async def test_what_an_alertmanager_said_goes_with_time(storage: Storage) -> None:
    """Its alert has told it long ago."""
    for name, at in (("old", T), ("young", T + HOUR)):
        told = Told(labels={"alertname": name}, is_firing=False, since=at, at=at, summary=name)
        await storage.write(lambda conn, told=told: received_store.save(conn, told))  # type: ignore[misc]
    await swept(storage, T + KEPT + HOUR)
    old, young = (fingerprint("", {"alertname": name}) for name in ("old", "young"))
    assert await storage.read(lambda conn: received_store.find(conn, old)) is None
    assert await storage.read(lambda conn: received_store.find(conn, young)) is not None
