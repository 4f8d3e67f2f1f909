"""The benchmarks work; how fast anything is, no test says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
NAMES = [
    "execution-overhead",
    "many-executions",
    "hostile-agents",
    "durable-events",
    "page-latency",
    "rule-table",
    "backtest",
    "alert-simulation",
    "integrity-check",
]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """As `make bench` runs them."""
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What all of them write down."""
    file = tmp_path_factory.mktemp("benchmarks") / "benchmarks.json"
    ran = run("--quick", "--output", str(file))
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def test_figures_come_with_the_machine_they_were_taken_on(result: dict[str, Any]) -> None:
    """Every fact of the machine is known, and that the figures are quick ones is written beside them."""
    facts = result["machine"]
    assert result["quick"] is True
    assert {"cpu", "cores", "kernel", "python", "sqlite", "file_system"} <= facts.keys()
    assert [name for name, value in facts.items() if value in {"", "unknown"}] == []


def test_every_benchmark_answers_with_ratios(result: dict[str, Any]) -> None:
    """Each asks a question, and what is shown in bold is above zero and has a ratio first."""
    assert [each["name"] for each in result["benchmarks"]] == NAMES
    for each in result["benchmarks"]:
        assert each["question"].endswith("?")
        assert each["figures"][0]["isHeadline"]
        if each["name"] == "alert-simulation":
            # It tells of no speed: its figures are the same on every machine.
            continue
        ratios = [figure for figure in each["figures"] if figure["unit"] == "x"]
        assert each["figures"][0] == ratios[0]
        assert ratios[0]["isHeadline"]
        assert all(figure["value"] > 0 for figure in ratios)


def test_every_figure_lies_in_its_interval(result: dict[str, Any]) -> None:
    """A figure without its uncertainty is not shown."""
    figures = [figure for each in result["benchmarks"] for figure in each["figures"]]
    assert len({figure["name"] for figure in figures}) == len(figures)
    assert [figure for figure in figures if not figure["low"] <= figure["value"] <= figure["high"]] == []


def test_an_unknown_benchmark_is_answered_with_those_there_are() -> None:
    """A misspelled name runs nothing."""
    ran = run("execution-overheat")
    assert ran.returncode == 2
    assert ", ".join(NAMES) in ran.stderr


def test_every_benchmark_is_explained(result: dict[str, Any]) -> None:
    """docs/performance.md has a heading for each."""
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert [each["name"] for each in result["benchmarks"] if f"\n## {each['name']}\n" not in page] == []
