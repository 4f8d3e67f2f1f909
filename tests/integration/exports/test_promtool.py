"""What `kokino export prometheus` writes, for the real promtool."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from kokino.alerts.observe import View
from kokino.alerts.rule import AlertRule
from kokino.alerts.rulefile import packaged, packaged_rule
from kokino.exports import alert_group, queries, unit_tests, written
from kokino.exports.conditions import exported
from kokino.exports.counters import HEARTBEAT, TURN_AGE, good
from kokino.exports.prometheus import rule_file
from kokino.slo.defaults import defaults
from tests.integration.exports.promtool import URL, promtool

ROOT = Path(__file__).resolve().parents[3]
RULES = [pytest.param(rule, id=rule.id) for rule in packaged() if exported(rule)]


class Mistake(NamedTuple):
    """Somebody's slip of the hand in a rule."""

    rule_id: str
    #: A threshold, a window, a least number or a label, and what it becomes.
    right: str
    wrong: str
    #: The rule's test that sees it.
    seen_by: str


MISTAKES = [
    Mistake(
        "availability-slo-breach",
        "good_ratio_5m >= 0.99",
        "good_ratio_5m >= 0.5",
        "98 of 99 are no recovery, 99 of 100 are",
    ),
    Mistake("availability-slo-breach", "good_5m >= 3", "good_5m >= 300", "the third success is enough"),
    Mistake(
        "availability-budget-burn",
        "good_6h >= 10",
        "good_6h >= 1000",
        "nine successes are too few, ten are enough",
    ),
    Mistake(
        "latency-slo-breach",
        "bad_within_60s_5m >= 3",
        "bad_within_60s_5m >= 2",
        "two slow ones are no breach",
    ),
    Mistake(
        "latency-slo-breach",
        "ratio_5m < 0.95",
        "ratio_5m < 0.94",
        "five of a hundred may be slow, six may not",
    ),
    Mistake(
        "correctness-slo-breach", "ratio_1d < 0.9 ", "ratio_1d <= 0.9 ", "exactly a tenth is not under 90 %"
    ),
    Mistake("resource-efficiency", "mean_1h > 1024", "mean_1h >= 1024", "exactly 1 GiB is not above it"),
    Mistake(
        "resource-efficiency", "mean_10m < 921.6", "mean_10m < 922.1", "between both limits nothing changes"
    ),
    Mistake(
        "circuit-breaker-opened",
        "headless_circuit_open",
        "headless_environment_degraded",
        "it opens, tries, opens again and closes",
    ),
    Mistake(
        "environment-degraded",
        "unless kokino:environment_degraded:resolves",
        "",
        "one CLI type is unwell, another is not",
    ),
    Mistake(
        "lock-timeout",
        "severity: P3",
        "severity: P2",
        "a lock that is held too long until its execution ends",
    ),
    Mistake(
        "lock-timeout",
        "headless_lock_overdue == 1",
        "headless_lock_overdue == 2",
        "however the execution ends, it is free",
    ),
    Mistake(
        "data-integrity-failure",
        "headless_data_damaged == 1",
        "headless_data_damaged == 2",
        "so does a conversation with a fault",
    ),
    Mistake("watchdog", "< 180", "> 180", "it fires, whatever happens or does not"),
]


#: Texts of files by their names.
Files = Mapping[str, str]


@pytest.fixture(scope="module")
def files() -> Files:
    """The shipped rules and their tests, as a folder gets them."""
    return written.prometheus(None, public_url=URL).files()


def put(files: Files, rule_id: str, folder: Path) -> None:
    """The rule's file and its tests."""
    for name in (f"{rule_id}.rules.yaml", f"{rule_id}.test.yaml"):
        (folder / name).write_text(files[name], encoding="utf-8")


def test_prometheus_accepts_the_rules(tmp_path: Path) -> None:
    """All of them in one file."""
    rules = written.prometheus(None, public_url=URL).text
    (tmp_path / "kokino.rules.yaml").write_text(rules, encoding="utf-8")
    checked = promtool("check", "rules", "--lint-fatal", "kokino.rules.yaml", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("rule", RULES)
def test_the_unit_tests_of_a_rule_pass(rule: AlertRule, files: Files, tmp_path: Path) -> None:
    """They are made from the rule's own."""
    put(files, rule.id, tmp_path)
    assert "alert_rule_test" in files[f"{rule.id}.test.yaml"]
    tested = promtool("test", "rules", f"{rule.id}.test.yaml", cwd=tmp_path)
    assert tested.returncode == 0, tested.stderr


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: f"{mistake.rule_id}: {mistake.wrong}")
def test_the_unit_tests_of_a_rule_see_a_mistake(mistake: Mistake, files: Files, tmp_path: Path) -> None:
    """A rule that somebody changed by hand no longer passes."""
    put(files, mistake.rule_id, tmp_path)
    rules, tests = (tmp_path / f"{mistake.rule_id}.{kind}.yaml" for kind in ("rules", "test"))
    text, document = rules.read_text(encoding="utf-8"), yaml.safe_load(tests.read_text(encoding="utf-8"))
    assert mistake.right in text
    rules.write_text(text.replace(mistake.right, mistake.wrong), encoding="utf-8")
    # The others pass or not; a whole file takes promtool up to ten seconds.
    document["tests"] = [test for test in document["tests"] if test["name"] == mistake.seen_by]
    tests.write_text(yaml.safe_dump(document), encoding="utf-8")
    tested = promtool("test", "rules", tests.name, cwd=tmp_path)
    assert "exp:" in tested.stderr


def test_prometheus_can_read_every_query_of_the_dashboard(tmp_path: Path) -> None:
    """Each as a rule of its own, for promtool reads no dashboard."""
    panels = json.loads(written.grafana(None).text)["panels"]
    asked = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(asked)]
    document = {"groups": [{"name": "dashboard", "rules": rules}]}
    (tmp_path / "queries.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    checked = promtool("check", "rules", "queries.yaml", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert f"{len(asked)} rules found" in checked.stdout


def test_the_dashboard_counts_as_a_service_level_does(tmp_path: Path) -> None:
    """Nine of ten completed since the broker came up, none of them within the last five minutes."""
    series = {
        f'{HEARTBEAT}{{instance="a"}}': "0+0x60",
        'headless_executions_total{state="completed", cli_type="x", instance="a"}': "_x10 1+1x8 9+0x40",
        'headless_executions_total{state="failed", cli_type="x", instance="a"}': "_x20 1+0x40",
        'headless_executions_total{state="completed", cli_type="x", instance="b"}': "0+1x60",
    }
    promised = defaults().availability
    expected = {
        queries.good_share(promised, timedelta(hours=1)): 0.9,
        queries.burn_rate(promised, timedelta(hours=1)): 20,
        queries.budget_left(promised): 0,
        queries.constant(promised.target): 0.995,
        queries.grown(queries.counted(good(View(promised.id))), timedelta(minutes=5)): 0,
    }
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": expr.replace("$instance", "a"),
                "eval_time": "50m",
                "exp_samples": [{"labels": "{}", "value": value}],
            }
            for expr, value in expected.items()
        ],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump({"tests": [test]}), encoding="utf-8")
    tested = promtool("test", "rules", "test.yaml", cwd=tmp_path)
    assert tested.returncode == 0, tested.stderr


def test_an_alert_stays_while_its_broker_is_not_scraped_and_ends_when_it_is_gone(
    files: Files, tmp_path: Path
) -> None:
    """A restart resolves nothing; after a day the broker is taken for gone."""
    put(files, "circuit-breaker-opened", tmp_path)
    circuit = {"agent": "a", "cli_type": "x"}
    rule = packaged_rule("circuit-breaker-opened")
    fires = {
        "exp_labels": {**alert_group.labels(rule), **circuit},
        "exp_annotations": alert_group.told(rule, (), URL, circuit),
    }
    test = {
        "interval": "4m",
        "input_series": [
            {"series": HEARTBEAT, "values": "0+0x10 stale"},
            {"series": 'headless_circuit_open{agent="a", cli_type="x"}', "values": "_x5 1+0x5 stale"},
        ],
        "alert_rule_test": [
            {"eval_time": at, "alertname": rule.id, "exp_alerts": alerts}
            for at, alerts in (("16m", []), ("24m", [fires]), ("24h", [fires]), ("25h", []))
        ],
    }
    document = {
        "rule_files": ["circuit-breaker-opened.rules.yaml"],
        "evaluation_interval": "4m",
        "tests": [test],
    }
    (tmp_path / "gone.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    tested = promtool("test", "rules", "gone.yaml", cwd=tmp_path)
    assert tested.returncode == 0, tested.stderr


def test_whatever_a_rule_holds_prometheus_accepts_it_and_shows_it_as_it_stands(tmp_path: Path) -> None:
    """Words of templates, breaks and quotes in all that people may write."""
    odd = '{{x {{{ }} \n- "b": c'
    rule = packaged_rule("circuit-breaker-opened")
    named = {"id": "1st.of_all", "title": odd, "owner": odd, "channel": odd, "labels": {"team": odd}}
    tests = [rule.tests[0].model_copy(update={"name": odd})]
    rule = rule.model_copy(update={**named, "tests": tests})
    text = rule_file([rule], defaults(), public_url=URL)
    writer = unit_tests.TestWriter(
        rule=rule,
        objectives=defaults(),
        public_url=URL,
        rules_name="odd.rules.yaml",
        rules_text=text,
        interval=timedelta(seconds=15),
    )
    (tmp_path / "odd.rules.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "odd.test.yaml").write_text(writer.text(), encoding="utf-8")
    checked = promtool("check", "rules", "--lint-fatal", "odd.rules.yaml", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert "exp_alerts" in writer.text()
    tested = promtool("test", "rules", "odd.test.yaml", cwd=tmp_path)
    assert tested.returncode == 0, tested.stderr


def test_the_watchdog_fires_only_while_alert_rules_are_looked_at(files: Files, tmp_path: Path) -> None:
    """A broker that answers each scrape and looks at nothing is as silent as one that is gone."""
    put(files, "watchdog", tmp_path)
    rule = packaged_rule("watchdog")
    fires = {
        "exp_labels": alert_group.labels(rule),
        "exp_annotations": alert_group.told(rule, (), URL, {}),
    }
    test = {
        "interval": "1m",
        "input_series": [
            {"series": HEARTBEAT, "values": "0+0x20"},
            {"series": TURN_AGE, "values": "_x2 0+0x5 60+60x12"},
        ],
        "alert_rule_test": [
            {"eval_time": at, "alertname": rule.id, "exp_alerts": alerts}
            for at, alerts in (("1m", []), ("2m", [fires]), ("9m", [fires]), ("10m", []), ("20m", []))
        ],
    }
    document = {"rule_files": ["watchdog.rules.yaml"], "evaluation_interval": "1m", "tests": [test]}
    (tmp_path / "still.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    tested = promtool("test", "rules", "still.yaml", cwd=tmp_path)
    assert tested.returncode == 0, tested.stderr
