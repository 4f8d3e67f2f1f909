"""What only the whole document can tell: who gives each input its value, who calls which step."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from kokino.playbooks.document import Faults
from kokino.playbooks.header import Header
from kokino.playbooks.model import (
    BROKER_INPUTS,
    LABEL_INPUTS,
    Definition,
    Effect,
    Input,
    InputSource,
    Pattern,
    RunMode,
    Section,
    Step,
)


def read_inputs(header: Header, definitions: Sequence[Definition], faults: Faults) -> dict[str, Input]:
    """The declared inputs with their sources; one that nobody gives a value is noted."""
    defined = {definition.name for definition in definitions}
    found = {}
    for name, (meaning, line) in header.inputs.items():
        source = _source(name, defined)
        if source is None:
            given = ", ".join(sorted({*BROKER_INPUTS, *LABEL_INPUTS}))
            faults.add(line, f"inputs.{name}", f"has no value; define it under Patterns, or use {given}")
        else:
            found[name] = Input(name=name, meaning=meaning, source=source)
    return found


def check_inputs(
    inputs: Mapping[str, Input],
    header: Header,
    steps: Sequence[Step],
    definitions: Sequence[Definition],
    faults: Faults,
) -> None:
    """Every variable is declared, every input is used, and none is read before it has a value."""
    for step in steps:
        for name in sorted(step.inputs - header.inputs.keys()):
            faults.add(step.line, f"{step.id}.{name}", "is not declared under inputs; locals are lower case")
        _check_sources(step, inputs, faults)
    used = frozenset[str]().union(*(step.inputs for step in steps))
    for name in header.inputs.keys() - used:
        faults.add(header.inputs[name][1], f"inputs.{name}", "is read by no step")
    for definition in definitions:
        if definition.name.isupper() and definition.name not in header.inputs:
            faults.add(definition.line, definition.name, "is not declared under inputs; names are lower case")


def check_undo(steps: Sequence[Step], faults: Faults) -> None:
    """``undo=`` and ``after=`` name steps of Mitigate that can do the work."""
    found = {step.id: step for step in steps if step.section is Section.MITIGATE}
    undoing = {step.undo for step in found.values() if step.undo}
    for step in found.values():
        if step.undo:
            _check_undoing(step, found.get(step.undo), faults)
        if step.after and step.id not in undoing:
            faults.add(step.line, "after", "belongs to a step that is the undo of another")
        if step.after and (step.after.step_id == step.id or step.after.step_id not in found):
            faults.add(step.line, "after", f"{step.after.step_id!r} is no other step of Mitigate")


def check_actions(patterns: Sequence[Pattern], steps: Sequence[Step], faults: Faults) -> None:
    """Rows are unique, name steps of Mitigate, and no step of Mitigate is left over."""
    found = {step.id: step for step in steps if step.section is Section.MITIGATE}
    seen: set[str] = set()
    for pattern in patterns:
        if pattern.id in seen:
            faults.add(pattern.line, pattern.id, "is taken by an earlier row")
        seen.add(pattern.id)
        for action in pattern.actions:
            if action not in found:
                faults.add(pattern.line, f"{pattern.id}.actions", f"{action!r} is no step of Mitigate")
    called = {action for pattern in patterns for action in pattern.actions} | _helpers(found.values())
    for step in found.values():
        if step.id not in called and step.run is not RunMode.MANUAL:
            faults.add(step.line, step.id, "is called by no row; name it under actions or write run=manual")


def _source(name: str, defined: set[str]) -> InputSource | None:
    if name in BROKER_INPUTS:
        return InputSource.BROKER
    if name in defined:
        return InputSource.PATTERN
    return InputSource.LABEL if name in LABEL_INPUTS else None


def _check_sources(step: Step, inputs: Mapping[str, Input], faults: Faults) -> None:
    if step.section is Section.MITIGATE:
        return
    for name in sorted(step.inputs & inputs.keys()):
        if inputs[name].source is InputSource.PATTERN:
            faults.add(step.line, f"{step.id}.{name}", "has a value only in Mitigate, after the choice")


def _check_undoing(step: Step, undoing: Step | None, faults: Faults) -> None:
    if undoing is None or undoing is step:
        faults.add(step.line, "undo", f"{step.undo!r} is no other step of Mitigate")
    elif undoing.effect is Effect.READ:
        faults.add(undoing.line, "effect", f"a step that takes {step.id} back changes something: write it")


def _helpers(steps: Collection[Step]) -> set[str]:
    """Steps that are called by other steps."""
    undoing = {step.undo for step in steps if step.undo}
    awaited = {step.after.step_id for step in steps if step.after}
    return undoing | awaited
