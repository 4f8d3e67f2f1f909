"""What each ``kokino export`` writes: one text, or several files where it is given a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from kokino.alerts.rule import AlertRule
from kokino.alerts.rulefile import load_rules
from kokino.errors import ConfigInvalid, Fault
from kokino.exports import grafana as dashboard
from kokino.exports import openslo as documents
from kokino.exports.conditions import exported
from kokino.exports.prometheus import INTERVAL, rule_file
from kokino.exports.unit_tests import COARSEST, TestWriter, grid_of
from kokino.slo.model import Objectives
from kokino.slo.openslo import load_objectives

__all__ = ["COARSEST", "Written", "grafana", "openslo", "prometheus"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The outcome of an export."""

    #: All of it in one file.
    text: str
    #: What a folder gets, by file name. Asked for when there is a folder: the tests of rules take seconds.
    files: Callable[[], Mapping[str, str]]


def prometheus(home: Path | None, *, interval: timedelta = INTERVAL, public_url: str) -> Written:
    """Rules for Prometheus; a folder gets a file for each that can be exported, with its unit tests.

    `home` has rules and objectives of its own in ``alerts`` and ``slo``. Raises `ConfigInvalid` with every
    fault of every file, as the others do.
    """
    rules, objectives = _read(home)
    return Written(
        text=rule_file(rules, objectives, interval=interval, public_url=public_url),
        files=lambda: _rule_files(rules, objectives, interval=interval, public_url=public_url),
    )


def grafana(home: Path | None) -> Written:
    """The dashboard."""
    text = dashboard.dashboard(*_read(home))
    return Written(text=text, files=lambda: {"kokino.json": text})


def openslo(home: Path | None) -> Written:
    """Objectives and burn conditions as OpenSLO."""
    text = documents.documents(*_read(home))
    return Written(text=text, files=lambda: {"kokino.openslo.yaml": text})


def _read(home: Path | None) -> tuple[tuple[AlertRule, ...], Objectives]:
    faults: list[Fault] = []
    rules, objectives = load_rules(home, faults), load_objectives(home, faults)
    if faults or objectives is None:
        raise ConfigInvalid(faults)
    return rules, objectives


def _rule_files(
    rules: Iterable[AlertRule], objectives: Objectives, *, interval: timedelta, public_url: str
) -> dict[str, str]:
    files: dict[str, str] = {}
    for rule in filter(exported, rules):
        name = f"{rule.id}.rules.yaml"
        files[name] = rule_file([rule], objectives, interval=interval, public_url=public_url)
        tests = TestWriter(
            rule=rule,
            objectives=objectives,
            public_url=public_url,
            rules_name=name,
            rules_text=files[name],
            interval=grid_of(rule),
        )
        files[f"{rule.id}.test.yaml"] = tests.text()
    return files
