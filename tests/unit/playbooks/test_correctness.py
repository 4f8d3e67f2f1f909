"""The shipped correctness playbook: its choices, over the answers of the broker."""

from __future__ import annotations

import pytest

from kokino.playbooks.library import load_library
from kokino.playbooks.patterns import choose
from tests.unit.playbooks.documents import answered

PLAYBOOK = load_library().get("correctness-slo-breach")

Row = dict[str, object]


def group(name: str, compared: int, mismatches: int) -> Row:
    """An agent, or the CLI type of that name."""
    rate = (compared - mismatches) / compared
    return {"agentId": name, "cliType": name, "compared": compared, "mismatches": mismatches} | {
        "matchRate": rate, "tmuxSuccess": 1.0, "headlessSuccess": 1.0,
    }  # fmt: skip


def kinds(*, near: int = 0, far: int = 0, outcome: int = 0) -> Row:
    """What the step `kinds` makes of so many mismatches."""
    total = near + far + outcome
    shares = {"outcomeShare": outcome, "nearShare": near, "farShare": far} if total else {}
    return {"mismatches": total} | {name: count / total for name, count in shares.items()}


ONE = [group("writer", 10, 4), group("editor", 10, 0)]
ALL = [group("writer", 10, 4), group("editor", 10, 3)]
NOT_DECIDED = [group("writer", 20, 1), group("editor", 20, 1)]

CASES: dict[str, tuple[str | None, list[Row], list[Row], Row]] = {
    "the same in other words": ("wording", ALL, [group("claude", 20, 7)], kinds(near=6, far=1)),
    "benign, though one agent's": ("wording", ONE, [group("claude", 20, 4)], kinds(near=4)),
    "one agent alone": ("one-agent", ONE, [group("claude", 20, 4)], kinds(far=3, near=1)),
    "one agent alone, whose headless fails": ("one-agent", ONE, [group("claude", 20, 4)], kinds(outcome=4)),
    "one agent, and its CLI type with it": (
        "one-agent",
        ONE,
        [group("claude", 10, 4), group("codex", 10, 0)],
        kinds(far=4),
    ),
    "one CLI type, all its agents": (
        "one-cli",
        [*ALL, group("tester", 10, 0)],
        [group("claude", 20, 7), group("codex", 10, 0)],
        kinds(far=7),
    ),
    "headless fails everywhere": (
        "headless-fails",
        ALL,
        [group("claude", 20, 7)],
        kinds(outcome=5, far=2),
    ),
    "genuine divergence": ("divergence", ALL, [group("claude", 20, 7)], kinds(far=5, near=2)),
    "a bit of everything": (None, ALL, [group("claude", 20, 7)], kinds(far=3, near=2, outcome=3)),
    "one mismatch": (None, [group("writer", 5, 1)], [group("claude", 5, 1)], kinds(far=1)),
    "nobody stands out, too few to sort": (None, NOT_DECIDED, NOT_DECIDED, kinds(far=1, near=1)),
    "nothing": (None, [], [], kinds()),
}


@pytest.mark.parametrize(("expected", "by_agent", "by_cli", "sorted_"), CASES.values(), ids=CASES.keys())
def test_each_situation_has_its_pattern(
    expected: str | None, by_agent: list[Row], by_cli: list[Row], sorted_: Row
) -> None:
    """Benign differences are told from genuine ones, and one culprit from all."""
    match = choose(PLAYBOOK, answered(by_agent=by_agent, by_cli=by_cli, kinds=sorted_))
    assert (match.pattern and match.pattern.id) == expected, match


def test_the_culprit_is_named() -> None:
    """In what is written down on the incident."""
    match = choose(PLAYBOOK, answered(by_agent=ONE, by_cli=[group("claude", 20, 4)], kinds=kinds(far=4)))
    assert match.inputs == {"AGENT_ID": "writer"}
