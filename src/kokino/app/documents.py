"""What stands in files of its own: objectives, alert rules and playbooks, checked together.

Each ships with Kokino; one of the same name in the home takes its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kokino.alerts import rulefile
from kokino.alerts.rule import AlertRule
from kokino.errors import Fault
from kokino.playbooks.library import Library, read_library
from kokino.slo.model import Objectives
from kokino.slo.openslo import load_objectives


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """Everything that is promised, watched and done about it."""

    objectives: Objectives
    #: In the order of their ids.
    rules: tuple[AlertRule, ...]
    playbooks: Library


def read_documents(home: Path, faults: list[Fault]) -> Documents | None:
    """The documents of an installation; None when one has faults, which are then all in `faults`."""
    found: list[Fault] = []
    objectives = load_objectives(home, found)
    located = rulefile.located_rules(home, found)
    playbooks = read_library(home, found)
    if not found:
        # What is left out for faults of its own is missing for no other reason.
        found.extend(_between(located, playbooks))
    faults.extend(found)
    if found or objectives is None:
        return None
    rules = tuple(rule for _, rule in located)
    return Documents(objectives=objectives, rules=rules, playbooks=playbooks)


def _between(rules: Sequence[rulefile.Located], playbooks: Library) -> Iterator[Fault]:
    """What documents say of one another must be so."""
    ids = [rule.id for _, rule in rules]
    for file, rule in rules:
        if rule.playbook is not None and rule.playbook not in playbooks.playbooks:
            known = ", ".join(sorted(playbooks.playbooks))
            message = f"there is no playbook {rule.playbook!r}; there are: {known}"
            yield file.fault(["playbook"], message)
    for playbook in playbooks.playbooks.values():
        if playbook.alert not in ids:
            message = f"there is no alert rule {playbook.alert!r}; there are: {', '.join(ids)}"
            yield playbooks.fault(playbook, "alert", message)
