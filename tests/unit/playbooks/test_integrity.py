"""The shipped playbook for data integrity: its choices, over the answers of a check."""

from __future__ import annotations

import pytest

from kokino.integrity.model import Kind
from kokino.playbooks.library import load_library
from kokino.playbooks.model import Effect, RunMode, Section
from kokino.playbooks.patterns import choose
from tests.unit.playbooks.documents import answered

PLAYBOOK = load_library().get("data-integrity-failure")


def checked(*kinds: Kind, but_not: tuple[Kind, ...] = (), would_delete: int = 1) -> dict[str, object]:
    """What a check answers that found one row of each of these kinds, all repairable but the last named."""
    return {
        "checkId": "check-1",
        "passed": not kinds,
        "damaged": Kind.FILE_DAMAGE in kinds,
        "allRepairable": bool(kinds) and not but_not,
        "wouldDelete": would_delete,
        "mayDelete": 10,
        "counts": {kind.value: int(kind in kinds) for kind in Kind},
        "issues": [{"kind": kind.value, "repairable": kind not in but_not} for kind in kinds],
    }


CASES = {
    "orphans alone": ("orphans-only", checked(Kind.ORPHANED_TURN)),
    "orphans, and sessions that went on with them": (
        "orphans-only",
        checked(Kind.ORPHANED_TURN, Kind.DANGLING_SESSION),
    ),
    "turns in another order": ("order-only", checked(Kind.TURN_ORDER)),
    "rows of nothing": ("foreign-keys", checked(Kind.FOREIGN_KEY)),
    "several at once": ("repairable", checked(Kind.ORPHANED_TURN, Kind.TURN_ORDER)),
    "turns that are one too many": ("repairable", checked(Kind.DUPLICATE_TURN)),
    "an order that cannot be told": ("unsafe", checked(Kind.TURN_ORDER, but_not=(Kind.TURN_ORDER,))),
    "a turn of nobody": ("foreign-turns", checked(Kind.FOREIGN_TURN, but_not=(Kind.FOREIGN_TURN,))),
    "an orphan, and a turn of nobody": (
        "foreign-turns",
        checked(Kind.ORPHANED_TURN, Kind.FOREIGN_TURN, but_not=(Kind.FOREIGN_TURN,)),
    ),
    "a turn of nobody, and an order that cannot be told": (
        "unsafe",
        checked(Kind.TURN_ORDER, Kind.FOREIGN_TURN, but_not=(Kind.TURN_ORDER, Kind.FOREIGN_TURN)),
    ),
    "an execution without its end": (
        "unsafe",
        checked(Kind.EXECUTION_WITHOUT_END, but_not=(Kind.EXECUTION_WITHOUT_END,)),
    ),
    "a torn page": ("file-damage", checked(Kind.FILE_DAMAGE, but_not=(Kind.FILE_DAMAGE,))),
    "a torn page, and an orphan": (
        "file-damage",
        checked(Kind.FILE_DAMAGE, Kind.ORPHANED_TURN, but_not=(Kind.FILE_DAMAGE,)),
    ),
    "as many orphans as may go": ("orphans-only", checked(Kind.ORPHANED_TURN, would_delete=10)),
    "more orphans than may go": ("too-many", checked(Kind.ORPHANED_TURN, would_delete=11)),
    "too many, and a turn of nobody": (
        "foreign-turns",
        checked(Kind.ORPHANED_TURN, Kind.FOREIGN_TURN, but_not=(Kind.FOREIGN_TURN,), would_delete=11),
    ),
    "conversations that are told of": ("repairable", checked(Kind.LOST_CONVERSATION, would_delete=0)),
    "put right meanwhile": ("gone", checked()),
    "no answer": (None, {}),
}


@pytest.mark.parametrize(("pattern", "answer"), CASES.values(), ids=CASES)
def test_the_choice(pattern: str | None, answer: dict[str, object]) -> None:
    """One row for each answer, and none without one."""
    chosen = choose(PLAYBOOK, answered(check=answer)).pattern
    assert (None if chosen is None else chosen.id) == pattern


def test_only_what_may_all_be_put_right_is_cleaned_up() -> None:
    """Rows that clean up demand the broker's own word for it."""
    cleaning = {pattern.id for pattern in PLAYBOOK.patterns if "cleanup" in pattern.actions}
    assert cleaning == {"orphans-only", "order-only", "foreign-keys", "repairable"}
    for kinds in ((Kind.ORPHANED_TURN,), (Kind.TURN_ORDER,), (Kind.FOREIGN_KEY,), (Kind.DUPLICATE_TURN,)):
        chosen = choose(PLAYBOOK, answered(check=checked(*kinds, but_not=kinds))).pattern
        assert chosen is not None
        assert chosen.id not in cleaning


def test_the_cleanup_runs_by_itself_and_seldom() -> None:
    """It makes its own way back, so it needs no approval; twice in an hour means that it does not help."""
    cleanup = PLAYBOOK.step("cleanup")
    assert (cleanup.effect, cleanup.run) == (Effect.WRITE, RunMode.AUTO)
    assert cleanup.limit is not None
    assert cleanup.limit.times == 1


def test_every_row_but_that_of_nothing_wrong_is_drilled() -> None:
    """What is put right meanwhile cannot be injected; too many is the same damage, only more of it."""
    rows = {pattern.id for pattern in PLAYBOOK.patterns}
    assert {drill.pattern for drill in PLAYBOOK.drills} == rows - {"gone", "too-many"}
    assert all(drill.damage is not None for drill in PLAYBOOK.drills)


def test_what_looks_only_reads() -> None:
    """Investigate and Verify ask by GET alone."""
    looking = [*PLAYBOOK.steps_in(Section.INVESTIGATE), *PLAYBOOK.steps_in(Section.VERIFY)]
    assert all("-X POST" not in step.script and "--data" not in step.script for step in looking)
