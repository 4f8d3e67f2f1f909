"""Alerts and service levels from the command line, against a broker in virtual time."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kokino.testing.broker import PATIENCE, TestBroker
from tests.acceptance.serving import KOKINO

P1 = "availability-slo-breach"
RULE = """apiVersion: kokino/v1
kind: AlertRule
id: permission-waits
title: A permission waits
severity: P3
owner: "@backend-team"
by: [agent]
conditions:
  - id: waits
    kind: timer
    started_by: [EXECUTION_WAITING]
    ended_by: [EXECUTION_COMPLETED, EXECUTION_FAILED, EXECUTION_TIMEOUT, EXECUTION_CANCELLED]
    after: 15m
resolve:
  kind: quiet
tests:
  - name: nobody answers for a quarter of an hour
    events:
      - {at: 0m, event: EXECUTION_WAITING, agent: a}
      - {at: 20m, event: EXECUTION_COMPLETED, agent: a}
    expect:
      - {at: 14m, state: inactive, labels: {agent: a}}
      - {at: 15m, state: firing, condition: waits, labels: {agent: a}}
      - {at: 20m, state: resolved, labels: {agent: a}}
"""


@pytest.fixture(scope="module")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestBroker]:
    """Two failures of the writer: the availability alert fires, and what follows from it is kept quiet."""
    async with TestBroker(tmp_path_factory.mktemp("alerts") / "home") as running:
        assert (await running.execute("reviewer")).status_code == 200
        for _ in range(2):
            assert (await running.execute("writer", "script: fail network")).status_code == 502
        await running.settle()
        yield running


async def ran(*arguments: str, broker: TestBroker | None = None) -> Any:
    """What a command did, in a terminal of 100 columns."""
    environment = {**os.environ, "COLUMNS": "100", **({"KOKINO_URL": broker.url} if broker else {})}
    return await asyncio.to_thread(
        subprocess.run,
        [str(KOKINO), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


async def said(*arguments: str, broker: TestBroker | None = None) -> str:
    """What a command that succeeds writes, its lines joined: tables break them anywhere."""
    done = await ran(*arguments, broker=broker)
    assert done.returncode == 0, done.stderr
    return " ".join(done.stdout.split())


def line_of(text: str, path: Path) -> int:
    """The line of a file that holds this."""
    return next(number for number, line in enumerate(path.read_text().splitlines(), 1) if text in line)


async def test_the_list_shows_what_fires_and_not_the_watchdog(broker: TestBroker) -> None:
    """The gravest first; --all has the others."""
    shown = await said("alerts", "list", broker=broker)
    assert "P1 firing" in shown
    assert "Availability SLO breach" in shown
    assert "Watchdog" not in shown
    everything = await said("alerts", "list", "--all", broker=broker)
    assert "Watchdog" in everything
    assert "Data integrity failure" in everything


async def test_why_tells_the_recorded_reasons_and_what_would_end_it(broker: TestBroker) -> None:
    """By the rule's id where it has one alert."""
    told = await said("alerts", "why", P1, broker=broker)
    assert "inactive -> firing" in told
    assert "(2 of 3 executions failed)" in told
    assert "Now: not recovered: 1 of 3 executions over 5 min succeeded" in told
    assert "Time alone can change that at" in told


async def test_why_tells_of_one_that_never_fired(broker: TestBroker) -> None:
    """The reason is that of this moment."""
    told = await said("alerts", "why", "latency-slo-breach", broker=broker)
    assert "is inactive since" in told
    assert "Now: the share within 1 min 100.00 % over 5 min is not under 95 %" in told


async def test_why_tells_of_a_rule_that_nobody_has_an_alert_of(broker: TestBroker) -> None:
    """It says for whom, and what makes it look; it stands in the list too, and can be silenced ahead."""
    told = await said("alerts", "why", "circuit-breaker-opened", broker=broker)
    assert "has never fired, for any agent and cli type: it is looked at when one of these events" in told
    assert "CIRCUIT_OPENED" in told
    assert "Circuit breaker opened it has never fired" in await said("alerts", "list", "--all", broker=broker)
    made = await said("alerts", "silence", "lock-timeout", "--for", "2h", "-m", "moved", broker=broker)
    assert made.endswith("Nothing that fires now fits it.")
    assert "lock-timeout" in await said("alerts", "silences", broker=broker)
    await said("alerts", "unsilence", made.split()[0], broker=broker)


async def test_somebody_looks_after_it(broker: TestBroker) -> None:
    """Until when is said, and shown."""
    assert "ada looks after Availability SLO breach until" in await said(
        "alerts", "ack", P1, "--by", "ada", broker=broker
    )
    assert "Looked after by ada" in await said("alerts", "show", P1, broker=broker)


async def test_a_silence_is_made_shown_and_taken_back(broker: TestBroker) -> None:
    """The alert says that it is silenced, by whom and why."""
    asked = ("--for", "2h", "--comment", "a load test", "--by", "eve")
    made = await said("alerts", "silence", P1, *asked, broker=broker)
    silence_id = made.split()[0]
    assert f"{silence_id} keeps rule={P1} quiet until" in made
    assert "It fits 1 alert that fires now." in made
    assert "silenced by eve until" in await said("alerts", "why", P1, broker=broker)
    assert "a load test" in await said("alerts", "silences", broker=broker)
    assert await said("alerts", "unsilence", silence_id, broker=broker) == f"{silence_id} is over."
    assert await said("alerts", "silences", broker=broker) == "Nothing is silenced."


async def test_one_alert_is_silenced_until_it_is_resolved(broker: TestBroker) -> None:
    """Without --for, and by its own id."""
    alerts = json.loads((await ran("alerts", "list", "--format", "json", broker=broker)).stdout)
    [firing] = [one for one in alerts if one["ruleId"] == P1]
    made = await said("alerts", "silence", firing["alertId"], "-m", "known", broker=broker)
    assert "quiet until it is resolved, at the latest" in made
    await said("alerts", "unsilence", made.split()[0], broker=broker)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("alerts", "why", "nonsense"), "there is no alert 'nonsense': `kokino alerts list --all` shows"),
        (("alerts", "silence", "nonsense", "-m", "x"), "there is no alert and no rule 'nonsense'"),
        (("alerts", "silence", "-m", "x"), "say what is to be quiet"),
        (("alerts", "silence", P1, "--for", "soon", "-m", "x"), "--for must be a length of time"),
        (
            ("alerts", "silence", P1, "--for", "60d", "-m", "x"),
            "the silence cannot be made: endsAt: must be at most 7 days from now",
        ),
        (
            ("alerts", "silence", "--match", "agent=~(", "--for", "0s", "-m", "x"),
            "matchers[0].value: is no regular expression (RE2): missing ): (; endsAt: must lie ahead",
        ),
        (("alerts", "silence", P1, "--for", "2h", "-m", "  "), "comment: must not be empty"),
        (("alerts", "unsilence", "nope"), "there is no silence 'nope': `kokino alerts silences --all` lists"),
        (("alerts", "ack", "lock-timeout"), "Lock timeout (lock-timeout) has never fired, for any agent"),
        (("alerts", "silence", "--match", "agent", "-m", "x"), "write name=value, or !=, =~ or !~"),
        (
            ("alerts", "backtest", "--rule", "nonsense"),
            "there is no rule 'nonsense'; there are: alertmanager-",
        ),
    ],
)
async def test_what_cannot_be_done_is_said_in_a_sentence(
    broker: TestBroker, arguments: tuple[str, ...], told: str
) -> None:
    """What, where and what to do."""
    done = await ran(*arguments, broker=broker)
    assert done.returncode == 1
    assert told in done.stderr


async def test_service_levels_are_shown_and_reported(broker: TestBroker) -> None:
    """A level that was missed makes the report fail, for a script."""
    shown = await said("slo", "status", broker=broker)
    assert "availability 33.33 % 99.5 % 1 h 1 of 3 0.00 % firing" in shown
    assert "correctness no data 95 % 30 d" in shown
    done = await ran("slo", "report", "--period", "daily", broker=broker)
    assert done.returncode == 1
    assert "133 times" in done.stdout
    assert "missed" in done.stdout


async def test_history_is_replayed_through_a_rule(tmp_path: Path) -> None:
    """A rule that is not watched yet says what it would have done, by the broker's own time."""
    async with TestBroker(tmp_path / "home") as broker:
        for _ in range(2):
            assert (await broker.execute("writer", "script: fail network")).status_code == 502
        found = await ran("alerts", "backtest", "--since", "1h", "--format", "json", broker=broker)
        document = json.loads(found.stdout)
        fired = {one["ruleId"]: one for one in document["fired"]}
        assert fired[P1]["condition"] == "rate-1h"
        assert "watchdog" not in document["rules"]
        rule = tmp_path / "permission-waits.yaml"
        rule.write_text(RULE, encoding="utf-8")
        assert "Nothing would have fired" in await said(
            "alerts", "backtest", str(rule), "--since", "1h", broker=broker
        )


async def test_the_tests_in_rule_files_are_run(tmp_path: Path) -> None:
    """Of all rules that an installation has, or of one file; a test that fails is told and counts."""
    shown = await said("alerts", "test", "--home", str(tmp_path))
    assert re.search(r"availability-slo-breach \d+ passed", shown)
    assert "failed" not in shown
    good, bad = tmp_path / "permission-waits.yaml", tmp_path / "bad.yaml"
    good.write_text(RULE, encoding="utf-8")
    bad.write_text(RULE.replace("after: 15m", "after: 16m"), encoding="utf-8")
    assert "permission-waits 1 passed" in await said("alerts", "test", str(good))
    done = await ran("alerts", "test", str(bad))
    assert done.returncode == 1
    assert "nobody answers for a quarter of an hour: at 0:15:00" in done.stderr


async def test_files_of_a_home_are_written_edited_and_checked(tmp_path: Path) -> None:
    """What was written out takes the place of what ships; all faults of all files are told at once."""
    home = str(tmp_path)
    wrote = await said("init", "--home", home)
    assert f"wrote {tmp_path}/alerts/{P1}.yaml" in wrote
    assert "has all of them already" in await said("init", "--home", home)
    assert "5 objectives, 13 alert rules that pass" in await said("config", "check", "--home", home)

    rule, objective = tmp_path / "alerts" / f"{P1}.yaml", tmp_path / "slo" / "latency.yaml"
    rule.write_text(rule.read_text().replace("severity: P1", "severity: P0"))
    objective.write_text(objective.read_text().replace("value: 30", "value: 31"))
    done = await ran("config", "check", "--home", home)
    assert done.returncode == 1
    assert "the configuration has 2 faults" in done.stderr
    assert f"{rule}:{line_of('severity: P0', rule)}: severity: must be" in done.stderr
    place = f"{objective}:{line_of('value: 31', objective)}: spec.objectives.0.value"
    assert f"{place}: must be one of the seconds" in done.stderr
