"""docs/monitoring.md tells what is exported and what is shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from kokino.cli import app
from kokino.telemetry.exposition import Executions, Snapshot
from kokino.telemetry.model import Counts
from kokino.telemetry.rule_metrics import Known, RuleMetrics

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
CALL = re.compile(r"kokino export ([a-z]+)((?: --[a-z-]+(?: [^-`\s]\S*)?)*)")


def families() -> set[str]:
    """The names of all metrics that a broker shows of executions, as their counters are asked for."""
    nothing = Counts()
    known = Known(ever={}, comparisons=nothing, conversations=nothing, raised={})
    shown = Snapshot(availability=None, latency_p95_ms=None, ever={}, rules=known)
    return {
        f"{family.name}_total" if family.type == "counter" else family.name
        for collector in (Executions(shown), RuleMetrics(known))
        for family in collector.collect()
    }


def test_every_metric_stands_in_the_table() -> None:
    """And none that there is not."""
    table = PAGE.partition("## Metrics")[2]
    assert set(re.findall(r"^\| `(headless_\w+)", table, re.MULTILINE)) == families()


def test_every_command_on_the_page_exists() -> None:
    """With its options."""
    root = get_command(app)
    assert isinstance(root, typer.core.TyperGroup)
    group = root.commands["export"]
    assert isinstance(group, typer.core.TyperGroup)
    calls = CALL.findall(PAGE)
    assert {name for name, _ in calls} == set(group.commands)
    for name, options in calls:
        known = {option for parameter in group.commands[name].params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", options)) <= known


@pytest.mark.parametrize("name", ["prometheus/kokino.rules.yaml", "grafana/kokino.json"])
def test_every_file_that_the_page_names_is_there(name: str) -> None:
    """Where it says."""
    assert f"`monitoring/{name}`" in PAGE
    assert (ROOT / "monitoring" / name).is_file()


def test_the_readme_leads_to_the_page() -> None:
    """It is found."""
    assert "(docs/monitoring.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
