"""What a Prometheus scrapes of the broker's own health; docs/metrics.md tells of each metric."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Connection

from kokino.engine.loop import Engine
from kokino.errors import StorageError
from kokino.testing.broker import FLEET, TestBroker
from kokino.testing.receivers import ROUTING_KEY, RecordingPagerDuty

ROOT = Path(__file__).resolve().parents[2]
#: Names with a unit that is none of Prometheus's: the specification's own, and what `memory_slo_mb` limits.
OWN_UNITS = ("headless_latency_p95_ms", "headless_execution_memory_peak_mb")


@pytest.fixture(scope="module")
def metrics_page() -> ModuleType:
    """The program that writes docs/metrics.md."""
    spec = importlib.util.spec_from_file_location("metrics_page", ROOT / "scripts" / "metrics_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
async def pagerduty() -> AsyncIterator[RecordingPagerDuty]:
    """A PagerDuty that listens."""
    async with RecordingPagerDuty() as receiver:
        yield receiver


@pytest.fixture
async def broker(tmp_path: Path, pagerduty: RecordingPagerDuty) -> AsyncIterator[TestBroker]:
    """A broker that pages."""
    receiver = f"""
    [receivers.oncall]
    type = "pagerduty"
    url = "{pagerduty.url}"
    routing_key_env = "KEY"
    """
    async with TestBroker(tmp_path, toml=FLEET + receiver, environment={"KEY": ROUTING_KEY}) as broker:
        yield broker


async def scrape(broker: TestBroker) -> dict[str, float]:
    """One scrape as ``{name,label=value: number}``."""
    answer = await broker.http.get("/metrics")
    assert answer.status_code == 200
    return {
        ",".join(
            [sample.name, *(f"{key}={value}" for key, value in sorted(sample.labels.items()))]
        ): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_the_page_tells_of_every_metric(metrics_page: ModuleType, tmp_path: Path) -> None:
    """And of no other; run `make docs` when this fails."""
    text = await metrics_page.scraped(tmp_path)
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == metrics_page.page(text)


async def test_promtool_has_nothing_to_say(broker: TestBroker) -> None:
    """But of the units of two names."""
    await broker.execute("writer")
    text = (await broker.http.get("/metrics")).text
    command = ["promtool", "check", "metrics"]
    found = await asyncio.to_thread(
        subprocess.run, command, input=text, text=True, capture_output=True, check=False
    )
    assert sorted((found.stdout + found.stderr).strip().splitlines()) == sorted(
        f"{name} metric names should not contain abbreviated units" for name in OWN_UNITS
    )


async def test_a_scrape_reads_once(broker: TestBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever number of metrics there are, and it writes nothing."""
    storage = broker.broker.ground.storage
    read, reads = storage.read, list[object]()

    async def noted(fn: Callable[[Connection], object]) -> object:
        reads.append(fn)
        return await read(fn)

    await broker.settle()
    with monkeypatch.context() as patched:
        patched.setattr(storage, "read", noted)
        patched.delattr(type(storage), "write")
        patched.setattr(Engine, "wake", lambda _: None)  # the turn that a scrape asks for reads by itself
        await scrape(broker)
    assert len(reads) == 1


async def test_an_outage_is_seen_in_our_own_health(broker: TestBroker, pagerduty: RecordingPagerDuty) -> None:
    """The rule that fires, who is told and how that went; and all of it at rest before."""
    await broker.settle()
    before = await scrape(broker)
    assert before["kokino_alert_rules,state=firing"] == 1  # the watchdog
    assert before["kokino_alerts_firing,rule=availability-slo-breach,severity=P1"] == 0
    assert before["kokino_deliveries_total,outcome=delivered,receiver=oncall"] == 0
    pagerduty.fail_next(503)

    for _ in range(4):
        await broker.execute("writer", "script: fail auth")
    await broker.settle()
    waits = await scrape(broker)
    await broker.fast_forward(minutes=3)

    assert waits["kokino_alerts_firing,rule=availability-slo-breach,severity=P1"] == 1
    assert waits["kokino_outbox_deliveries,state=waiting"] >= 1
    assert waits["kokino_delivery_attempt_failures_total,reason=server_error,receiver=oncall"] == 1
    assert waits["kokino_escalations,state=active"] >= 1
    after = await scrape(broker)
    assert after["kokino_deliveries_total,outcome=delivered,receiver=oncall"] >= 1
    assert after["kokino_outbox_oldest_age_seconds"] == 0


async def test_the_oldest_delivery_grows_older(broker: TestBroker, pagerduty: RecordingPagerDuty) -> None:
    """Until somebody takes it."""
    for _ in range(40):
        pagerduty.fail_next(503)
    for _ in range(4):
        await broker.execute("writer", "script: fail auth")
    await broker.fast_forward(minutes=2)
    assert (await scrape(broker))["kokino_outbox_oldest_age_seconds"] == 120


async def test_what_the_parts_count_is_told_while_the_database_is_not_to_be_read(
    broker: TestBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scrape that failed would hide why."""

    async def fail(_fn: object) -> None:
        raise StorageError("the disk is gone")

    before = await scrape(broker)
    with monkeypatch.context() as patched:
        patched.setattr(type(broker.broker.ground.storage), "read", lambda _self, fn: fail(fn))
        meanwhile = await scrape(broker)
    assert (before["kokino_storage_up"], meanwhile["kokino_storage_up"]) == (1, 0)
    assert meanwhile["kokino_warden_up"] == 1
    assert "headless_availability" not in meanwhile
    assert "kokino_alert_rules,state=firing" not in meanwhile


async def test_an_engine_module_that_fails_is_seen(
    broker: TestBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its failures are counted, a rule that cannot be looked at waits longer and longer, and both end."""
    rules = broker.broker.services.alert_rules

    def fail(*_: object) -> None:
        raise ValueError("no look today")

    with monkeypatch.context() as patched:
        patched.setattr(rules, "_looks", fail)
        await broker.execute("writer", "script: fail auth")
        await broker.fast_forward(seconds=30)
        meanwhile = await scrape(broker)
    await broker.fast_forward(seconds=30)
    after = await scrape(broker)

    assert meanwhile["kokino_engine_module_up,module=alert_rules"] == 0
    assert meanwhile["kokino_engine_module_failures_total,module=alert_rules"] >= 6
    assert meanwhile["kokino_alert_evaluation_failures_total,rule=availability-slo-breach"] >= 6
    assert meanwhile["kokino_alert_evaluation_lag_seconds"] == 30
    assert after["kokino_engine_module_up,module=alert_rules"] == 1
    assert after["kokino_alert_evaluation_lag_seconds"] == 0


async def test_a_broker_that_looks_at_nothing_shows_it(
    broker: TestBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scrape asks for a turn, so the last one is new; where turns fail its age grows."""
    age, failures = "kokino_alert_turn_age_seconds", "kokino_alert_turn_failures_total"
    await broker.fast_forward(hours=1)
    await scrape(broker)
    await broker.settle()
    asked = await scrape(broker)
    assert (asked[age], asked[failures], asked["kokino_alert_evaluation_lag_seconds"]) == (0, 0, 0)

    def fail(_: Connection) -> None:
        raise StorageError("the disk is gone")

    monkeypatch.setattr(broker.broker.services.alert_rules, "_news", fail)
    await broker.execute("writer")
    await broker.fast_forward(minutes=5)
    still = await scrape(broker)
    assert still[age] >= 300
    assert still[failures] >= 1
    assert still["kokino_alert_evaluation_failures_total,rule=watchdog"] == 0
    assert still["kokino_alert_evaluation_lag_seconds"] >= 300
    assert still["kokino_alerts_firing,rule=watchdog,severity=none"] == 1  # what the database knows
