"""The dashboard."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kokino.alerts.rulefile import packaged
from kokino.exports.grafana import dashboard
from kokino.exports.ledger import Ledger
from kokino.exports.panels import COLUMNS
from kokino.slo.defaults import defaults
from kokino.telemetry.model import END_TYPES, Event, EventType

T = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
#: A metric's name stands before its matchers; those of the client library are of the process itself.
METRIC = re.compile(r"\b([a-zA-Z_:][a-zA-Z0-9_:]*)\{")
OF_THE_PROCESS = {
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_max_fds",
}
#: What a broker shows of itself: docs/metrics.md lists all of it, as a test of that page proves.
OF_THE_BROKER = {"kokino_storage_commit_seconds_bucket"} | set(
    re.findall(
        r"^\| `(kokino_\w+)` \|",
        (Path(__file__).resolve().parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
)
#: Prometheus writes this one itself, of the rules that we export.
OF_OUR_RULES = {"ALERTS"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """What Grafana imports."""
    found: dict[str, Any] = json.loads(dashboard(packaged(), defaults()))
    return found


def queries(document: dict[str, Any]) -> list[str]:
    """Every query of every panel."""
    return [target["expr"] for panel in document["panels"] for target in panel.get("targets", ())]


def shown_by_a_broker() -> set[str]:
    """The names of all series of a broker in which everything has happened."""
    ledger = Ledger()
    happened = [
        *(
            EventType.CIRCUIT_OPENED,
            EventType.ENV_DEGRADED,
            EventType.LOCK_TIMEOUT,
            EventType.ORPHAN_DETECTED,
        ),
        EventType.EXECUTION_STARTED,
    ]
    for number, type in enumerate(happened):
        event = Event(type=type, at=T, agent_id="a", cli_type="gemini", execution_id=f"exec-{number}")
        ledger.add(event, number)
    end = Event(
        type=END_TYPES["failed"],
        at=T,
        agent_id="b",
        cli_type="gemini",
        duration_ms=5,
        memory_mb=9,
        memory_slo_mb=500,
    )
    ledger.add(end, len(happened))
    return {name for name, _ in ledger.samples(T + timedelta(minutes=1))}


def test_every_query_names_metrics_that_are_there(document: dict[str, Any]) -> None:
    """Ours, and none that nobody writes."""
    known = shown_by_a_broker() | OF_THE_PROCESS | OF_THE_BROKER | OF_OUR_RULES
    for query in queries(document):
        asked = set(METRIC.findall(query))
        assert asked
        assert asked <= known, query
        assert asked - OF_OUR_RULES, query


def test_every_query_asks_of_the_chosen_brokers_alone(document: dict[str, Any]) -> None:
    """Of several brokers one is looked at."""
    for query in queries(document):
        assert query.count("{") == query.count('instance=~"$instance"}'), query


def test_panels_do_not_overlap_and_fill_the_width(document: dict[str, Any]) -> None:
    """Each cell of the grid belongs to one panel at most."""
    taken: set[tuple[int, int]] = set()
    for panel in document["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= COLUMNS
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not taken & cells, panel["title"]
        taken |= cells
    numbers = [panel["id"] for panel in document["panels"]]
    assert len(numbers) == len(set(numbers))


def test_every_panel_says_what_it_shows(document: dict[str, Any]) -> None:
    """Whoever looks at 3 a.m. need not guess."""
    for panel in document["panels"]:
        assert panel["type"] == "row" or panel["description"].endswith(".")


def test_what_is_promised_is_the_objective_s(document: dict[str, Any]) -> None:
    """The line of the target, and the budget of 0.5 %."""
    by_title = {panel["title"]: panel for panel in document["panels"] if panel["type"] == "timeseries"}
    assert by_title["Availability"]["targets"][-1]["expr"].endswith("+ 0.995")
    assert "/ 0.005" in by_title["Burn rate"]["targets"][0]["expr"]
