"""The Drill section: what is broken on purpose, and what must come of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import TypeVar

from kokino.agents.failures import FailureKind
from kokino.integrity.model import Kind as Damage
from kokino.playbooks.document import Block, Chapter, Faults
from kokino.playbooks.fields import Value, closed_mapping, length_of, read_yaml, text_of
from kokino.playbooks.header import read_budgets
from kokino.playbooks.model import Budgets, DrillCase, DrillEnd, InjectionTarget
from kokino.playbooks.steps import STEP_ID

W = TypeVar("W", bound=StrEnum)

#: What ``pattern`` says where no row may be chosen.
NO_PATTERN = "none"


def read_drills(
    chapter: Chapter | None, patterns: Collection[str], default: Budgets | None, faults: Faults
) -> tuple[DrillCase, ...]:
    """The cases of the one ``yaml {drill}`` block; `default` are the budgets of the front matter."""
    if chapter is None:
        return ()
    blocks = [block for block in chapter.blocks() if block.attributes.strip() == "drill"]
    if len(blocks) != 1:
        faults.add(chapter.line, "Drill", "must hold one block ```yaml {drill}")
        return ()
    found = [_case(value, patterns, default, faults) for value in _listed(blocks[0], faults)]
    cases = tuple(case for case in found if case is not None)
    _check_ids(cases, faults)
    return cases


def _listed(block: Block, faults: Faults) -> list[Value]:
    value = read_yaml(block.text, block.line + 1, "drill", faults)
    if value is None or not isinstance(value.content, list):
        faults.add(block.line, "drill", "must be a YAML list of cases")
        return []
    return value.content


def _case(
    value: Value, patterns: Collection[str], default: Budgets | None, faults: Faults
) -> DrillCase | None:
    held = closed_mapping(value, "drill", faults, required=("id", "pattern", "inject", "expect"))
    case_id = text_of(held.get("id"), "drill.id", STEP_ID, "small letters, digits and '-'", faults)
    pattern = text_of(held.get("pattern"), "drill.pattern", STEP_ID, "a row of the table, or none", faults)
    if pattern and pattern != NO_PATTERN and pattern not in patterns:
        faults.add(held["pattern"].line, "drill.pattern", f"{pattern!r} is no row of the table")
    if "inject" not in held or "expect" not in held:
        return None
    inject = closed_mapping(
        held["inject"],
        "drill.inject",
        faults,
        required=("target",),
        optional=("kind", "damage", "share", "heals_after"),
    )
    expect = closed_mapping(held["expect"], "drill.expect", faults, required=("end",), optional=("budgets",))
    target = _word(inject.get("target"), "drill.inject.target", InjectionTarget, faults)
    kind = _word(inject.get("kind"), "drill.inject.kind", FailureKind, faults)
    damage = _word(inject.get("damage"), "drill.inject.damage", Damage, faults)
    _check_fault(held["inject"], inject, target, faults)
    end = _word(expect.get("end"), "drill.expect.end", DrillEnd, faults)
    budgets = default
    if "budgets" in expect:
        budgets = read_budgets(expect["budgets"], "drill.expect.budgets", faults, default)
    if target is None or (kind is None and damage is None) or end is None or budgets is None:
        return None
    return DrillCase(
        id=case_id,
        pattern=None if pattern == NO_PATTERN else pattern,
        target=target,
        kind=kind,
        damage=damage,
        share=_share(inject.get("share"), faults),
        heals_after=length_of(inject.get("heals_after"), "drill.inject.heals_after", faults),
        end=end,
        budgets=budgets,
        line=value.line,
    )


def _check_fault(
    at: Value, inject: Mapping[str, Value], target: InjectionTarget | None, faults: Faults
) -> None:
    """Executions fail by a kind, data is damaged: each needs its own word and none of the other's."""
    if target is None:
        return
    of_data, of_executions = ("damage",), ("kind", "share", "heals_after")
    wanted, strange = ("damage", of_executions) if target is InjectionTarget.DATA else ("kind", of_data)
    if wanted not in inject:
        faults.add(at.line, f"drill.inject.{wanted}", f"is missing: the target is {target}")
    for word in strange:
        if word in inject:
            faults.add(inject[word].line, f"drill.inject.{word}", f"has no meaning for the target {target}")


def _share(value: Value | None, faults: Faults) -> float:
    if value is None:
        return 1.0
    text = text_of(value, "drill.inject.share", r"1(\.0)?|0\.0*[1-9][0-9]*", "above 0 and at most 1", faults)
    return float(text or 1)


def _word(value: Value | None, name: str, kind: type[W], faults: Faults) -> W | None:
    wanted = f"one of {', '.join(kind)}"
    text = text_of(value, name, "|".join(kind), wanted, faults)
    return kind(text) if text else None


def _check_ids(cases: Collection[DrillCase], faults: Faults) -> None:
    seen: set[str] = set()
    for case in cases:
        if case.id in seen:
            faults.add(case.line, "drill.id", f"{case.id!r} stands here twice")
        seen.add(case.id)
