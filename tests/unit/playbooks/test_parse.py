from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokino.agents.failures import FailureKind
from kokino.playbooks.model import Await, Effect, InputSource, Limit, RunMode, Section
from tests.unit.playbooks.documents import FILE, SMALL, faults_of, parsed, small

#: What is replaced, by what, and a piece of the one message that must come of it.
FAULTS: dict[str, tuple[str, str, str]] = {
    "schema": ("kokino.playbook/v1", "kokino.playbook/v2", "schema: must be kokino.playbook/v1"),
    "severity": ("severity: P2", "severity: P9", "severity: must be P1, P2 or P3"),
    "unknown key": ("severity: P2", "severity: P2\ncolour: red", "front matter.colour: is unknown"),
    "doubled key": ("severity: P2", "severity: P2\nseverity: P2", "front matter.severity: stands here twice"),
    "missing key": ("alert: disk-full\n", "", "front matter.alert: is missing"),
    "budget": ("repair: 30s", "repair: soon", "drill.repair: must be a length"),
    "unknown section": ("## Trigger", "## Trigger\n\n## Notes", "Notes: is no section"),
    "missing section": ("## Impact\n", "", "Impact: is missing"),
    "doubled section": ("## Impact", "## Impact\n## Impact", "Impact: stands here twice"),
    "section order": ("## Trigger\n## Impact", "## Impact\n## Trigger", "out of order: Trigger comes here"),
    "step in Impact": (
        "## Impact",
        "## Impact\n### X\n```sh {id=x effect=read}\nls\n```",
        "Impact holds no steps",
    ),
    "unknown attribute": ("timeout=10s", "speed=10s", "speed: is unknown here"),
    "doubled attribute": ("timeout=10s", "effect=read", "effect: stands here twice"),
    "no pair": ("timeout=10s", "quickly", "'quickly' must be written as name=value"),
    "no id": ("{id=good effect=read}", "{effect=read}", "id: is missing"),
    "no effect": ("{id=service effect=read}", "{id=service}", "effect: is missing"),
    "effect": (
        "id=service effect=read",
        "id=service effect=look",
        "effect: must be read, write or dangerous",
    ),
    "timeout": ("timeout=10s", "timeout=10", "timeout: must be a length"),
    "long timeout": ("timeout=10s", "timeout=11m", "timeout: must be 10m at most"),
    "limit": ("limit=1/1h", "limit=often", "limit: must be runs per length"),
    "write in Investigate": ("by-cli effect=read", "by-cli effect=write", "Investigate only reads"),
    "run in Investigate": ("timeout=10s", "run=auto", "run: is unknown here"),
    "dangerous by itself": ("disable effect=write", "disable effect=dangerous", "needs run=approval"),
    "two blocks": (
        "## Patterns",
        "```sh {id=two effect=read}\nls\n```\n## Patterns",
        "second block of one step",
    ),
    "no heading": ("### Compare\n", "", "under a third-level heading of its own"),
    "wrong language": ("```sh {id=good", "```bash {id=good", "write sh, not bash"),
    "in a list": (
        "## Impact",
        "## Impact\n- ```sh {id=x effect=read}\n  ls\n  ```",
        "not in a list or quote",
    ),
    "unknown block": ("## Impact", "## Impact\n```sql {id=x}\n```", "leave the braces off an example"),
    "misplaced block": ("## Impact", "## Impact\n```match {definitions}\n```", "stands in Patterns"),
    "doubled step": ("{id=good effect=read}", "{id=by-cli effect=read}", "is taken by the step on line"),
    "template": ('"$KOKINO_URL/good"', '"$KOKINO_URL/{agentId}"', "{agentId} is not filled in"),
    "undeclared": ('"$KOKINO_URL/good"', '"$KOKINO_URL/$PLACE"', "good.PLACE: is not declared"),
    "undeclared in jq": (
        '"$KOKINO_URL/good"',
        "\"$KOKINO_URL\" | jq 'env.PLACE'",
        "good.PLACE: is not declared",
    ),
    "unused input": (
        "  CLI_TYPE: the",
        "  ALERT_ID: alert\n  CLI_TYPE: the",
        "inputs.ALERT_ID: is read by no step",
    ),
    "input of no one": ("  CLI_TYPE: the", "  PLACE: where\n  CLI_TYPE: the", "inputs.PLACE: has no value"),
    "input too early": ("/service", "/service/$CLI_TYPE", "has a value only in Mitigate"),
    "undeclared definition": ("# a comment", 'PLACE = "x"', "PLACE: is not declared under inputs"),
    "undo": ("undo=enable", "undo=nothing", "'nothing' is no other step of Mitigate"),
    "undo that reads": ("enable effect=write", "enable effect=read", "changes something: write it"),
    "after": ("after=good", "after=nothing", "'nothing' is no other step of Mitigate"),
    "every without after": ("after=good every", "every", "every: belongs to after="),
    "taken name": ("# a comment", "by-cli = 1", "by-cli: is taken"),
    "no definition": ("# a comment", "what is this", "must be written as name = expression"),
    "definition": ("where(failureRate >= 0.5)", "where(failureRate >= )", "column 29: expected a number"),
    "match": ("`bad.count() == 1`", "`bad.count( == 1`", "one.match: column 12"),
    "no condition": ("`bad.count() >= 2`", "`bad.count()`", "many.match: is never true"),
    "cells": ("| it is broken | disable it |", "| it is broken |", "the row has 5 cells, not 6"),
    "more cells": ("| the network | wait |", "| the | network | wait |", "the row has 7 cells, not 6"),
    "columns": ("| probable cause |", "| cause |", "the columns must be"),
    "no table": ("|---|---|---|---|---|---|", "|---|---|", "must hold one table"),
    "evidence": ("| one | by-cli |", "| one | by-cli, by-moon |", "'by-moon' is no step of Investigate"),
    "unlisted evidence": (
        "| many | by-cli |",
        "| many | - |",
        "the match reads 'by-cli', which is not listed",
    ),
    "action": ("| wait | - |", "| wait | pray |", "'pray' is no step of Mitigate"),
    "doubled row": ("| many |", "| one |", "one: is taken by an earlier row"),
    "prefer": ("# a comment", "prefer one over none-such", "'none-such' is no row of the table"),
    "cycle": (
        "# a comment",
        "prefer one over many\nprefer many over one",
        "goes before a row that goes before it",
    ),
    "same match": (
        "`bad.count() >= 2`",
        "`bad.count() == 1`",
        "can never be chosen: whenever it matches, one",
    ),
    "constant": ("`bad.count() >= 2`", "`1 == 2`", "can never be chosen: a condition is never true"),
    "two values": (
        "`bad.count() >= 2`",
        "`bad.count() == 3 and bad.count() == 2`",
        "can never be chosen: it demands two values",
    ),
    "opposite": (
        "`bad.count() >= 2`",
        "`bad.exists() and not bad.exists()`",
        "can never be chosen: it demands a condition and its opposite",
    ),
    "left over": ("| disable it | disable |", "| disable it | - |", "disable: is called by no row"),
    "no verify": (
        "```match {verified for=5m within=20m}",
        "```text",
        "must hold one block ```match {verified",
    ),
    "no window": ("for=5m within", "within", "for: is missing"),
    "within": ("within=20m", "within=5m", "must be longer than for"),
    "no successes": ("successes >= 3", "failures == 0", "no failures prove nothing"),
    "true successes": ("successes >= 3", "successes >= true", "no failures prove nothing"),
    "zero successes": ("successes >= 3", "successes >= 0", "no failures prove nothing"),
    "drill pattern": ("pattern: one", "pattern: two", "'two' is no row of the table"),
    "drill target": ("target: cli", "target: moon", "drill.inject.target: must be one of all, cli"),
    "drill kind": ("kind: auth", "kind: sad", "drill.inject.kind: must be one of auth"),
    "drill key": ("kind: auth", "kind: auth, why: x", "drill.inject.why: is unknown"),
    "drill share": ("kind: auth", "kind: auth, share: 2", "drill.inject.share: must be above 0"),
    "drill YAML": ("{target: cli,", "{target: [cli,", "drill: no YAML"),
    "no drill": ("```yaml {drill}", "```yaml", "must hold one block ```yaml {drill}"),
}


@pytest.mark.parametrize(("old", "new", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_reported_with_its_place(old: str, new: str, message: str) -> None:
    """Each thing that may be wrong in a playbook is found, with file and line."""
    found = faults_of(small((old, new)))
    assert any(message in f"{fault.field}: {fault.message}" for fault in found), [
        str(fault) for fault in found
    ]
    assert all(fault.file == FILE and fault.line for fault in found)


def test_all_faults_are_reported_at_once_in_the_order_of_their_lines() -> None:
    """Nobody mends one fault only to be told of the next."""
    text = small(
        ("severity: P2", "severity: P7"), ("timeout=10s", "speed=1"), ("| wait | - |", "| wait | pray |")
    )
    found = faults_of(text)
    lines = text.split("\n")
    expected = [lines.index(line) + 1 for line in lines if "P7" in line or "speed" in line or "pray" in line]
    assert [fault.line for fault in found] == expected


def test_line_endings_do_not_move_lines() -> None:
    """A file from another system has its faults on the same lines."""
    text = small(("timeout=10s", "speed=1"))
    assert faults_of(text.replace("\n", "\r\n")) == faults_of(text)


@pytest.mark.parametrize(
    "text", ["", "---", "# Title", "---\n[\n---\n", "---\n? [a]\n: b\n---\n", "---\n- x\n---\n"]
)
def test_a_text_that_is_no_playbook_is_a_fault(text: str) -> None:
    """Whatever a file holds, reading it ends with faults."""
    assert faults_of(text)


@given(at=st.integers(0, len(SMALL)), length=st.integers(0, 40), junk=st.text(max_size=20))
def test_a_damaged_playbook_is_read_or_faulted(at: int, length: int, junk: str) -> None:
    """Damage anywhere raises nothing but `ConfigInvalid`."""
    faults_of(SMALL[:at] + junk + SMALL[at + length :])


def test_deep_yaml_is_a_fault() -> None:
    """Nesting that no reader can follow is told, not crashed on."""
    assert faults_of(small(("severity: P2", "severity: " + "[" * 5000)))


def test_steps_say_what_they_may_do() -> None:
    """Attributes become the step's facts; what is not said has its default."""
    playbook = parsed()
    disable, enable = playbook.step("disable"), playbook.step("enable")
    assert (disable.effect, disable.run, disable.undo) == (Effect.WRITE, RunMode.AUTO, "enable")
    assert disable.limit == Limit(times=1, per=timedelta(hours=1))
    assert disable.script == 'curl "$KOKINO_URL/disable/$CLI_TYPE"\n'
    assert disable.inputs == {"KOKINO_URL", "CLI_TYPE"}
    assert enable.after == Await(step_id="good", every=timedelta(minutes=2), within=timedelta(hours=1))
    assert playbook.step("good").run is RunMode.AUTO
    assert [step.id for step in playbook.steps_in(Section.MITIGATE)] == ["disable", "good", "enable"]


def test_what_changes_something_asks_first_unless_it_says_otherwise() -> None:
    """A write step without ``run=`` needs an approval."""
    playbook = parsed(("effect=write run=auto undo", "effect=write undo"))
    assert playbook.step("disable").run is RunMode.APPROVAL


def test_inputs_know_who_gives_them() -> None:
    """The broker, the evidence or the alert's labels."""
    inputs = parsed().inputs
    assert {name: given.source for name, given in inputs.items()} == {
        "KOKINO_URL": InputSource.BROKER,
        "CLI_TYPE": InputSource.PATTERN,
    }
    by_label = parsed(("CLI_TYPE = bad", "cli-type = bad")).inputs
    assert by_label["CLI_TYPE"].source is InputSource.LABEL


def test_a_drill_takes_the_budgets_that_it_does_not_name_from_the_front_matter() -> None:
    """A case says only what it needs otherwise."""
    case = parsed(("{end: verified}", "{end: verified, budgets: {verified: 9m}}")).drills[0]
    assert (case.pattern, case.kind, case.share) == ("one", FailureKind.AUTH, 1.0)
    assert (case.budgets.alert, case.budgets.verified) == (timedelta(minutes=1), timedelta(minutes=9))


@pytest.mark.parametrize(
    ("inject", "fault"),
    [
        ("{target: data, damage: turn_order}", None),
        ("{target: data}", "damage: is missing"),
        ("{target: data, damage: turn_order, kind: auth}", "kind: has no meaning for the target data"),
        ("{target: cli, kind: auth, damage: turn_order}", "damage: has no meaning for the target cli"),
        ("{target: cli}", "kind: is missing"),
        ("{target: data, damage: rust}", "must be one of file_damage"),
    ],
)
def test_a_drill_breaks_executions_or_data(inject: str, fault: str | None) -> None:
    """Each is said in its own words."""
    found = [str(one) for one in faults_of(small(("{target: cli, kind: auth}", inject)))]
    assert (found == []) if fault is None else any(fault in one for one in found), found


def test_a_fenced_block_without_braces_is_prose() -> None:
    """An example in the text is not run, and may hold what a step may not."""
    assert not faults_of(small(("## Impact", "## Impact\n```sh\ncurl /agents/{agentId} $PLACE\n```")))


def test_a_limit_counts_the_runs_within_its_length() -> None:
    """Runs that are older than the length no longer count."""
    limit = Limit(times=2, per=timedelta(hours=1))
    now = datetime(2026, 1, 5, 9, tzinfo=UTC)
    recent, old = now - timedelta(minutes=59), now - timedelta(hours=1)
    assert limit.allows([recent, old], now)
    assert not limit.allows([recent, recent], now)
