"""What /metrics shows for alert rules, and that what promtool's tests are fed with is the same."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from kokino.exports.counters import TURN_AGE
from kokino.exports.ledger import Ledger, Series
from kokino.storage import Storage
from kokino.telemetry import exposition, store
from kokino.telemetry.model import END_TYPES, JUDGED, Event, EventType, Running, Scope
from kokino.telemetry.rule_metrics import LEVELS

T = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
#: Of events that tell no execution's end.
TYPES = sorted(
    (frozenset(JUDGED[Scope.SHADOW]).union(*(level.types for level in LEVELS))) - set(END_TYPES.values())
)
#: These look back over a window, which a list of events since ever does not.
OF_A_WINDOW = {"headless_availability", "headless_latency_p95_ms"}


def ended(state: str = "completed", at: datetime = T, **more: object) -> Event:
    """The end of a user's execution."""
    given = {"agent_id": "a", "cli_type": "gemini", "duration_ms": 10, **more}
    return Event(type=END_TYPES[state], at=at, **given)  # type: ignore[arg-type]


def told(type: EventType, at: datetime = T, agent_id: str | None = "a", cli_type: str = "gemini") -> Event:
    """Another event."""
    return Event(type=type, at=at, agent_id=agent_id, cli_type=cli_type)


async def scrape(
    storage: Storage, *events: Event, now: datetime = T, running: tuple[Running, ...] = ()
) -> Mapping[Series, float]:
    """Append the events, and scrape."""
    await storage.write(lambda conn: [store.append(conn, event) for event in events])
    shown = await storage.read(lambda conn: exposition.snapshot(conn, now=now, running=running))
    text = exposition.render(shown, CollectorRegistry()).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name not in OF_A_WINDOW
    }


async def test_results_that_never_came_are_shown_as_0(storage: Storage) -> None:
    """A series that appears with its first mismatch would hide it from a Prometheus."""
    samples = await scrape(storage)
    for name, results in (
        ("headless_shadow_comparisons_total", ("match", "mismatch")),
        ("headless_checked_conversations_total", ("whole", "faulty")),
    ):
        assert [samples[name, (("result", result),)] for result in results] == [0, 0]


async def test_memory_is_a_sum_a_count_and_how_many_stayed_within_their_limit(storage: Storage) -> None:
    """Of executions that were measured: the third was not."""
    samples = await scrape(
        storage,
        ended(memory_mb=300, memory_slo_mb=500),
        ended("failed", memory_mb=900, memory_slo_mb=500),
        ended(),
    )
    of = (("cli_type", "gemini"),)
    assert samples["headless_execution_memory_peak_mb_sum", of] == 1200
    assert samples["headless_execution_memory_peak_mb_count", of] == 2
    assert samples["headless_execution_memory_peaks_total", (*of, ("result", "over"))] == 1


async def test_failures_are_counted_by_their_kind(storage: Storage) -> None:
    """What is good has no kind, and a cancelled one is no failure."""
    samples = await scrape(storage, ended("failed", kind="auth"), ended("timeout"), ended("cancelled"))
    found = {key[1]: value for key, value in samples.items() if key[0] == "headless_failures_total"}
    of = ("cli_type", "gemini")
    assert found == {(of, ("kind", "auth")): 1, (of, ("kind", "unknown")): 1}


async def test_a_level_is_shown_while_it_is_so(storage: Storage) -> None:
    """Of each agent for itself; one that is over is not there any more."""
    mine, other = (("agent", "a"), ("cli_type", "gemini")), (("agent", "b"), ("cli_type", "gemini"))
    opened = told(EventType.CIRCUIT_OPENED)
    first = await scrape(storage, opened, told(EventType.CIRCUIT_OPENED, agent_id="b"))
    assert first["headless_circuit_open", mine] == first["headless_circuit_open", other] == 1
    second = await scrape(storage, told(EventType.CIRCUIT_CLOSED, T + MINUTE))
    assert ("headless_circuit_open", mine) not in second
    assert second["headless_circuit_open", other] == 1


async def test_a_level_goes_by_what_happened_last_not_by_what_was_told_last(storage: Storage) -> None:
    """An event that comes late changes nothing."""
    degraded = told(EventType.ENV_DEGRADED, T - MINUTE, agent_id=None)
    samples = await scrape(storage, told(EventType.ENV_RESTORED, agent_id=None), degraded)
    assert [key for key in samples if key[0] == "headless_environment_degraded"] == []


async def test_what_runs_is_counted_by_how_long_it_has(storage: Storage) -> None:
    """Exactly a minute is not longer than a minute."""
    running = tuple(
        Running(started_at=T - timedelta(milliseconds=age), agent_id="a", cli_type="gemini")
        for age in (60_000, 60_001)
    )
    samples = await scrape(storage, running=running)
    longer = "headless_executions_running_longer"
    assert samples["headless_executions_running", ()] == 2
    assert samples[longer, (("cli_type", "gemini"), ("than", "60.0"))] == 1
    assert samples[longer, (("cli_type", "gemini"), ("than", "30.0"))] == 2


async def test_labelled_executions_move_nothing(storage: Storage) -> None:
    """Probes and drills never count for users."""
    before = await scrape(storage)
    assert await scrape(storage, ended("failed", label="probe", memory_mb=9000, memory_slo_mb=1)) == before


def some_event(random: Random, number: int) -> Event:
    """Any event that a metric may be made of."""
    at = T + timedelta(milliseconds=number * 700)
    agent_id, cli_type = random.choice("ab"), random.choice(["gemini", "codex"])
    if random.random() < 0.5:
        return ended(
            random.choice(list(END_TYPES)),
            at,
            agent_id=agent_id,
            cli_type=cli_type,
            duration_ms=random.choice([None, 20, 30_000, 60_001, 99_999]),
            memory_mb=random.choice([None, 100, 700]),
            memory_slo_mb=500,
            label=random.choice([None, None, None, "probe"]),
            kind=random.choice([None, "auth", "crash"]),
        )
    return told(EventType(random.choice(TYPES)), at, agent_id, cli_type)


@pytest.mark.parametrize("seed", range(3))
async def test_promtool_is_fed_with_what_a_broker_shows(storage: Storage, seed: int) -> None:
    """The ledger behind the exported unit tests knows the same sums as the database."""
    random, ledger = Random(seed), Ledger()
    events = [some_event(random, number) for number in range(60)]
    for number, event in enumerate(events):
        ledger.add(event, number)
    now = T + 2 * MINUTE
    shown = await scrape(storage, *events, now=now)
    left_out = {*OF_A_WINDOW, TURN_AGE}  # the age is the broker's own and of no event
    told_by_ledger = {key: value for key, value in ledger.samples(now).items() if key[0] not in left_out}
    assert told_by_ledger == shown
