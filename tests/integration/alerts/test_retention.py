"""Changes of alerts, and silences, are kept for a time; the beginning of an episode as long as it goes on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from kokino.alerts import episode_store, retention_store, silence_store
from kokino.alerts.matcher import Matcher
from kokino.alerts.silence import Silence
from kokino.storage import Storage
from kokino.storage.schema import alert_transitions
from kokino.telemetry.retention import Retention
from tests.fixtures.episodes import Episodes

T = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
HOUR, KEPT = timedelta(hours=1), timedelta(days=400)


async def swept(storage: Storage, now: datetime) -> None:
    """One run, which is enough for a few rows."""
    kept = {retention_store.CHANGES: KEPT, retention_store.SILENCES: KEPT}
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
