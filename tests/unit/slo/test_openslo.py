"""OpenSLO files: what ships, and what is said about a wrong one."""

from __future__ import annotations

from datetime import timedelta
from importlib.resources import files
from pathlib import Path

from kokino.errors import Fault
from kokino.slo.defaults import defaults
from kokino.slo.openslo import load_objectives, read_objective

SHIPPED = files("kokino.slo") / "objectives"


def said(text: str) -> list[str]:
    """All faults of a file, as a person reads them."""
    faults: list[Fault] = []
    assert read_objective("my.yaml", text, faults) is None
    return [str(fault) for fault in faults]


def shipped(name: str) -> str:
    """The text of a packaged file."""
    return (SHIPPED / name).read_text(encoding="utf-8")


def test_what_ships_is_what_the_specification_promises() -> None:
    """99.5 % over 30 days; 95 % within 30 s over 24 hours."""
    objectives = defaults()
    assert (objectives.availability.target, objectives.availability.window) == (0.995, timedelta(days=30))
    assert (objectives.latency.target, objectives.latency.threshold) == (0.95, timedelta(seconds=30))
    assert objectives.latency.window == timedelta(hours=24)


def test_all_faults_of_a_file_are_told_at_once_with_their_lines() -> None:
    """Three mistakes, three messages, each where the mistake stands."""
    text = shipped("availability.yaml").replace("target: 0.995", "target: 99.5")
    text = text.replace("30d", "30 moons").replace("service:", "servise:")
    at = {word: number for number, line in enumerate(text.splitlines(), 1) for word in line.split()}
    spec = text[: text.index("\nspec:") + 1].count("\n") + 1
    unknown_length = 'must be a length of time such as "30s", "5m" or "1h"'
    assert sorted(said(text)) == sorted(
        [
            f"my.yaml:{at['99.5']}: spec.objectives.0.target: must be less than or equal to 1",
            f"my.yaml:{at['servise:']}: spec.servise: is no setting here; did you mean 'service'?",
            f"my.yaml:{spec}: spec.service: is missing",
            f"my.yaml:{at['moons']}: spec.timeWindow.0.duration: {unknown_length}",
        ]
    )


def test_a_threshold_that_cannot_be_counted_exactly_is_refused() -> None:
    """42 s lie within a bucket; the message lists what can be asked for."""
    [fault] = said(shipped("latency.yaml").replace("value: 30", "value: 42"))
    assert "must be one of the seconds that are counted exactly" in fault
    assert ", 30, 60, " in fault


def test_availability_takes_no_threshold() -> None:
    """A ratio has nothing to compare with."""
    [fault] = said(shipped("availability.yaml").replace("target: 0.995", "target: 0.995\n      value: 30"))
    assert "belongs to a thresholdMetric only" in fault


def test_a_file_that_is_no_yaml_names_its_line() -> None:
    """The reader is sent to where it stops making sense."""
    [fault] = said("apiVersion: openslo/v1\nkind: [SLO\n")
    assert fault.startswith("my.yaml:3: file: is not YAML: ")


def test_a_key_that_stands_twice_is_no_silent_choice() -> None:
    """YAML would take the last one without a word."""
    assert said("kind: SLO\nkind: Service\n") == ["my.yaml:2: kind: stands here twice"]


def test_an_empty_file_is_told_as_one() -> None:
    """Nothing is not a default, and comments are nothing."""
    assert said("") == said("# later\n") == ["my.yaml:1: file: is empty"]
    assert said("- a\n") == ["my.yaml:1: file: must hold keys and values, written as key: value"]


def test_a_file_with_another_ending_is_not_ignored_in_silence(tmp_path: Path) -> None:
    """What only looks like an objective is named; a README is nobody's business."""
    folder = tmp_path / "slo"
    folder.mkdir()
    for name in ("mine.yml", "LATENCY.YAML", "README.md", "latency.yaml~"):
        (folder / name).write_text("")
    faults: list[Fault] = []
    assert load_objectives(tmp_path, faults) is None
    assert [str(fault) for fault in faults] == [
        f"{folder / name}: file: must end in .yaml, or nobody reads it"
        for name in ("LATENCY.YAML", "mine.yml")
    ]
