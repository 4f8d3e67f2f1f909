"""What a playbook run says in an incident's timeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from kokino.incidents.model import Pattern as Recognised
from kokino.playbooks.model import Playbook, Step
from kokino.playbooks.patterns import Match
from kokino.playbooks.run import StepRun, StepState

#: How much of a failed step's own words goes into the timeline, in characters.
SAID = 200


def investigated(steps: Sequence[StepRun]) -> str:
    """How the Investigate steps fared."""
    silent = [f"{step.step_id} ({how(step)})" for step in steps if step.state is not StepState.PASSED]
    if not silent:
        return f"Investigated: all {len(steps)} steps of the playbook answered"
    answered = len(steps) - len(silent)
    return f"Investigated: {answered} of {len(steps)} steps answered; not {', '.join(silent)}"


def recognised(playbook: Playbook, found: Match) -> tuple[str, dict[str, Any]]:
    """The pattern that was chosen, and its data for whoever reads the timeline."""
    pattern = found.pattern
    if pattern is None:
        return unknown(playbook, found)
    data = Recognised(
        pattern=pattern.id,
        cause=pattern.probable_cause,
        cli_type=found.inputs.get("CLI_TYPE"),
        account=found.inputs.get("ACCOUNT"),
        agent_id=found.inputs.get("AGENT_ID"),
        kind=found.inputs.get("KIND"),
        playbook=playbook.id,
    ).to_data()
    text = f"Recognised {pattern.id}: {pattern.probable_cause}{_named(found.inputs)}. {pattern.solution}."
    return text, {**data, "considered": _considered(found)}


def unknown(playbook: Playbook, found: Match) -> tuple[str, dict[str, Any]]:
    """That no pattern was chosen, and why."""
    data = Recognised(pattern=None, playbook=playbook.id).to_data()
    return f"Cause unknown: {found.reason}. Nothing was changed.", {**data, "considered": _considered(found)}


def how(ran: StepRun) -> str:
    """How a step ended: ``done``, or what went wrong."""
    match ran.state:
        case StepState.PASSED:
            return "done"
        case StepState.TIMEOUT:
            return "stopped at its timeout"
        case _:
            said = (ran.errors or ran.output).strip().splitlines()
            last = f": {said[-1][:SAID]}" if said else ""
            return f"failed with exit code {ran.exit_code}{last}"


def inputs_of(step: Step, inputs: Mapping[str, str]) -> str:
    """The values that a step read: `` (cli type claude-code, target gemini)``."""
    return _named({name: inputs[name] for name in sorted(step.inputs & inputs.keys())})


def minutes(length: timedelta) -> str:
    """``20 min``, ``24 h``."""
    whole = int(length.total_seconds() // 60)
    return f"{whole // 60} h" if whole and whole % 60 == 0 else f"{whole} min"


def _named(values: Mapping[str, str]) -> str:
    listed = ", ".join(f"{name.lower().replace('_', ' ')} {value}" for name, value in values.items())
    return f" ({listed})" if listed else ""


def _considered(found: Match) -> list[dict[str, str]]:
    return [
        {"pattern": one.pattern_id, "verdict": one.verdict.value, "why": one.why} for one in found.considered
    ]
