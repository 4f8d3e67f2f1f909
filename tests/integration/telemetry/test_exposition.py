"""The text of /metrics."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from kokino.storage import Storage, open_storage
from kokino.telemetry import exposition, store
from kokino.telemetry.model import END_TYPES, Event, Running

T = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


async def scrape(storage: Storage, now: datetime = T, running: tuple[Running, ...] = ()) -> dict[str, float]:
    """One scrape as ``{name{labels}: value}``."""
    shown = await storage.read(lambda conn: exposition.snapshot(conn, now=now, running=running))
    text = exposition.render(shown, CollectorRegistry()).decode()
    return {
        sample.name + "".join(f",{key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def hung(age: timedelta) -> Running:
    """An execution that has run for so long, and goes on."""
    return Running(started_at=T - age, agent_id="a", cli_type="claude-code")


async def end(storage: Storage, state: str, duration_ms: int, at: datetime = T) -> None:
    """One execution of claude-code ended."""
    event = Event(type=END_TYPES[state], at=at, agent_id="a", cli_type="claude-code", duration_ms=duration_ms)
    await storage.write(lambda conn: store.append(conn, event))


async def test_no_data_is_shown_as_nan(storage: Storage) -> None:
    """A broker that ran nothing claims neither 100 % nor 0 %."""
    samples = await scrape(storage)
    assert str(samples["headless_availability"]) == "nan"
    assert str(samples["headless_latency_p95_ms"]) == "nan"


async def test_availability_and_p95_are_of_their_alerts_windows(storage: Storage) -> None:
    """One of four failed within the hour; of the last five minutes there is one, of 2 s."""
    for minutes in (50, 40, 30):
        await end(storage, "failed" if minutes == 30 else "completed", 90_000, T - timedelta(minutes=minutes))
    await end(storage, "completed", 2_000)
    samples = await scrape(storage)
    assert samples["headless_availability"] == 0.75
    assert samples["headless_latency_p95_ms"] == 2_000


async def test_what_hangs_shows_in_the_p95(storage: Storage) -> None:
    """An execution that does not end is as slow as it is old."""
    samples = await scrape(storage, running=(hung(timedelta(minutes=4)),))
    assert samples["headless_latency_p95_ms"] == 240_000


async def test_the_histogram_has_exact_buckets_at_30_and_60_seconds(storage: Storage) -> None:
    """An execution of exactly 30 s is within 30 s, one a millisecond longer is not."""
    for duration_ms in (30_000, 30_001, 60_001):
        await end(storage, "completed", duration_ms)
    samples = await scrape(storage)
    bucket = "headless_execution_duration_seconds_bucket,cli_type=claude-code,le="
    assert [samples[bucket + le] for le in ("30.0", "60.0", "+Inf")] == [1, 2, 3]
    assert samples["headless_execution_duration_seconds_sum,cli_type=claude-code"] == 120.002


async def test_counters_go_on_after_a_restart(new_storage_url: str) -> None:
    """They are read from the database, so a new broker continues where the old one stopped."""
    for expected in (1, 2):
        storage = await open_storage(new_storage_url)
        await end(storage, "failed", 10)
        samples = await scrape(storage)
        await storage.close()
        assert samples["headless_executions_total,cli_type=claude-code,state=failed"] == expected


async def test_the_process_shows_its_own_metrics(storage: Storage) -> None:
    """Memory and descriptors of the broker itself stand in the same text."""
    shown = await storage.read(lambda conn: exposition.snapshot(conn, now=T))
    assert b"process_resident_memory_bytes" in exposition.render(shown)
