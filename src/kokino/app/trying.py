"""Rules are tried before they watch anything: their tests, a broker's history, a whole home."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kokino.alerts import rulefile
from kokino.alerts.backtest import Backtest, backtest
from kokino.alerts.rehearse import rehearse
from kokino.alerts.rule import AlertRule
from kokino.app.settings import Checked, check
from kokino.clock import SystemClock
from kokino.config import load
from kokino.errors import ConfigInvalid, Fault, KokinoError
from kokino.slo.model import Objectives
from kokino.slo.openslo import load_objectives
from kokino.telemetry.model import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of one rule's tests."""

    rule_id: str
    #: How many there are.
    tests: int
    #: What went otherwise than expected, as sentences.
    faults: tuple[str, ...]


def run_tests(files: Sequence[Path], only: Sequence[str], home: Path) -> list[Tried]:
    """Run the tests that rules carry: those in `files`, or all of the home without any.

    Raises `ConfigInvalid` with all faults of all files, and `KokinoError` for a rule in `only` that is none.
    """
    rules, objectives = _read(files, only, home)
    return [_tried(rule, objectives) for rule in rules]


def replay(
    files: Sequence[Path],
    only: Sequence[str],
    home: Path,
    rows: Iterable[Mapping[str, Any]],
    *,
    until: datetime,
    length: timedelta,
) -> Backtest:
    """Replay a broker's events, as its API answers them, through rules. Raises as `run_tests` does."""
    rules, objectives = _read(files, only, home)
    # What always fires tells nothing of what happened.
    watched = [rule for rule in rules if rule.listens_to()]
    return backtest(watched, objectives, map(_event, rows), since=until - length, until=until)


def check_home(home: Path) -> tuple[Checked, list[Tried]]:
    """Everything that a broker would read from a home, and what came of its rules' tests.

    Raises `ConfigInvalid` with all faults of all files.
    """
    checked = check(load(home), os.environ, now=SystemClock().now())
    objectives = checked.documents.objectives
    return checked, [_tried(rule, objectives) for rule in checked.documents.rules]


def _tried(rule: AlertRule, objectives: Objectives) -> Tried:
    faults = tuple(fault for test in rule.tests for fault in rehearse(rule, test, objectives))
    return Tried(rule_id=rule.id, tests=len(rule.tests), faults=faults)


def _read(files: Sequence[Path], only: Sequence[str], home: Path) -> tuple[Sequence[AlertRule], Objectives]:
    faults: list[Fault] = []
    objectives = load_objectives(home, faults)
    rules = [*_in_files(files, faults)] if files else [*rulefile.load_rules(home, faults)]
    if faults or objectives is None:
        raise ConfigInvalid(faults)
    known = [rule.id for rule in rules]
    if unknown := sorted(set(only) - set(known)):
        raise KokinoError(f"there is no rule {unknown[0]!r}; there are: {', '.join(known)}")
    return [rule for rule in rules if not only or rule.id in only], objectives


def _in_files(files: Iterable[Path], faults: list[Fault]) -> Iterator[AlertRule]:
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            faults.append(Fault(field="file", message=f"cannot be read: {error}", file=str(path)))
            continue
        rule = rulefile.read_rule(str(path), text, faults)
        if rule is not None:
            yield rule


def _event(row: Mapping[str, Any]) -> Event:
    fields = {_snake(key): value for key, value in row.items()}
    return Event(**fields | {"at": datetime.fromisoformat(row["at"]).astimezone(UTC)})


def _snake(key: str) -> str:
    return "".join(f"_{sign.lower()}" if sign.isupper() else sign for sign in key)
