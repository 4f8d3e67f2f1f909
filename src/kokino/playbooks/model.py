"""What a playbook is made of. Everything here is data; `parse.py` makes it, nothing changes it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from kokino.agents.failures import FailureKind
from kokino.integrity.model import Kind as Damage
from kokino.playbooks.expressions import Node

#: The value of ``schema`` in the front matter.
SCHEMA = "kokino.playbook/v1"

#: Inputs that every run gets from the broker, and what each is.
BROKER_INPUTS: Mapping[str, str] = {
    "KOKINO_URL": "address of the broker, without a slash at the end",
    "KOKINO_HEADERS": "file of request headers that say who asks, for curl -H @file; may be empty",
    "KOKINO_TOKEN": "the token itself; prefer KOKINO_HEADERS, an argument list is visible to every user",
    "KOKINO_HOME": "folder of the broker's files",
    "ALERT_ID": "the alert that started the run",
    "INCIDENT_ID": "the incident of that alert",
}
#: Inputs that come from the labels of the alert that started the run, and which.
LABEL_INPUTS: Mapping[str, str] = {"AGENT_ID": "agent", "CLI_TYPE": "cli_type", "ACCOUNT": "account"}
#: What they may hold: a step puts them into addresses, and an alert of others may say anything.
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:~-]{0,299}")


class Section(StrEnum):
    """The sections of a playbook, in their order."""

    TRIGGER = "Trigger"
    IMPACT = "Impact"
    INVESTIGATE = "Investigate"
    PATTERNS = "Patterns"
    MITIGATE = "Mitigate"
    VERIFY = "Verify"
    ESCALATE = "Escalate"
    DRILL = "Drill"


class Effect(StrEnum):
    """What a step may do."""

    #: Looks only.
    READ = "read"
    #: Changes something that its undo, or a person, can change back.
    WRITE = "write"
    #: May lose something; never without an approval.
    DANGEROUS = "dangerous"


class RunMode(StrEnum):
    """Who lets a step run."""

    #: The broker, when a pattern calls for it.
    AUTO = "auto"
    #: The broker, once a person has approved it.
    APPROVAL = "approval"
    #: A person, by hand.
    MANUAL = "manual"


class InputSource(StrEnum):
    """Who gives an input its value."""

    BROKER = "broker"
    LABEL = "label"
    PATTERN = "pattern"


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """An environment variable that steps may read."""

    #: Its name: capital letters.
    name: str
    #: What it holds, for a person who sets it by hand.
    meaning: str
    #: Who gives it its value.
    source: InputSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most so many runs of a step in so long, whatever its inputs."""

    #: Runs that are let through.
    times: int
    #: The length in which they are counted.
    per: timedelta

    def allows(self, past: Sequence[datetime], now: datetime) -> bool:
        """True while fewer than `times` of the `past` runs started within the last `per`."""
        return sum(now - started_at < self.per for started_at in past) < self.times


@dataclass(frozen=True, slots=True, kw_only=True)
class Await:
    """What an undo step waits for: a step that is run again and again until it exits 0."""

    #: The step to run.
    step_id: str
    #: Pause between two runs.
    every: timedelta
    #: How long to go on; after it, people are told that the repair was not taken back.
    within: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One executable block."""

    #: Unique in its playbook.
    id: str
    #: The section it stands in.
    section: Section
    #: Its heading.
    title: str
    #: What bash runs, exactly as written.
    script: str
    #: Line of its opening fence.
    line: int
    #: What it may do.
    effect: Effect
    #: How long it may take.
    timeout: timedelta
    #: Who lets it run.
    run: RunMode
    #: The step that takes it back.
    undo: str | None = None
    #: How often it may run; None for no limit.
    limit: Limit | None = None
    #: What it waits for; only for a step that is the undo of another.
    after: Await | None = None
    #: The inputs that its script reads.
    inputs: frozenset[str] = frozenset()

    @property
    def digest(self) -> str:
        """Hash of what would run, for an approval."""
        return sha256(f"{self.id}\0{self.effect}\0{self.script}".encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A named expression. A name in capital letters gives the input of that name its value."""

    #: What matches and later definitions call it.
    name: str
    #: Its meaning.
    expression: Node
    #: Where it stands.
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A row of the Patterns table: how one cause looks, and what to do about it."""

    #: Unique in its playbook.
    id: str
    #: The Investigate steps that tell.
    evidence: tuple[str, ...]
    #: What must hold, all of it; definitions that are an ``and`` are taken apart.
    conditions: tuple[Node, ...]
    #: For people.
    probable_cause: str
    #: For people.
    solution: str
    #: Mitigate steps, in order.
    actions: tuple[str, ...]
    #: Where it stands.
    line: int
    #: Patterns that it goes before when both match.
    beats: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify:
    """When the service counts as well again."""

    #: What must hold over the Verify steps' results, all of it.
    conditions: tuple[Node, ...]
    #: The window that those steps look back on: nothing is judged before it has passed since the last action.
    window: timedelta
    #: Pause between two rounds of the Verify steps.
    every: timedelta
    #: Time since the last action after which it is given up and escalated.
    within: timedelta
    #: Where it stands.
    line: int


class InjectionTarget(StrEnum):
    """What a drill breaks."""

    #: Every CLI type.
    ALL = "all"
    #: One CLI type, the others stay well.
    CLI = "cli"
    #: One agent, its peers stay well.
    AGENT = "agent"
    #: Executions picked at random.
    RANDOM = "random"
    #: What is in the database.
    DATA = "data"


class DrillEnd(StrEnum):
    """How a drill must end."""

    #: Verify passed.
    VERIFIED = "verified"
    #: Verify passed and every repair was taken back.
    SWITCHED_BACK = "switched_back"
    #: It was handed to people.
    ESCALATED = "escalated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """How long each part of a drill may take, one after the other."""

    #: From the fault to the firing alert.
    alert: timedelta
    #: From there to the chosen pattern.
    pattern: timedelta
    #: From there to the end of the last action.
    repair: timedelta
    #: From there to the verified end.
    verified: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillCase:
    """One rehearsal: what is broken, and what must come of it."""

    #: Unique in its playbook.
    id: str
    #: The pattern row that must be chosen; None where none may be.
    pattern: str | None
    #: What is broken.
    target: InjectionTarget
    #: How its executions fail; None where the data is broken.
    kind: FailureKind | None
    #: What is wrong with the data then; None where executions fail.
    damage: Damage | None
    #: The part of the target's executions that fail, above 0, at most 1.
    share: float
    #: When the fault goes away, counted from its start; None for never.
    heals_after: timedelta | None
    #: How it must end.
    end: DrillEnd
    #: How long it may take.
    budgets: Budgets
    #: Where it stands.
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Playbook:
    """A whole document, checked."""

    #: The name of its file, without ``.md``.
    id: str
    #: Its first-level heading, else its id.
    title: str
    #: The alert rule that it answers.
    alert: str
    #: P1, P2 or P3.
    severity: str
    #: Who answers for it: ``@backend-team``.
    owner: str
    #: The escalation policy that takes over.
    escalation: str
    #: The inputs that its steps read, by name.
    inputs: Mapping[str, Input]
    #: All steps, in the order of the document.
    steps: tuple[Step, ...]
    #: Named expressions, in the order of the document.
    definitions: tuple[Definition, ...]
    #: The rows of the Patterns table.
    patterns: tuple[Pattern, ...]
    #: When the service counts as well again.
    verify: Verify
    #: The rehearsals.
    drills: tuple[DrillCase, ...]
    #: The document itself.
    text: str
    #: True for one that came with Kokino, unchanged.
    is_shipped: bool

    @property
    def digest(self) -> str:
        """Hash of the document: another text is another playbook, and needs its approvals anew."""
        return sha256(self.text.encode()).hexdigest()

    def step(self, step_id: str) -> Step:
        """The step of that id; KeyError where there is none."""
        return {step.id: step for step in self.steps}[step_id]

    def pattern(self, pattern_id: str) -> Pattern:
        """The pattern of that id; KeyError where there is none."""
        return {pattern.id: pattern for pattern in self.patterns}[pattern_id]

    def steps_in(self, section: Section) -> tuple[Step, ...]:
        """The steps of a section, in order."""
        return tuple(step for step in self.steps if step.section is section)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What came of a step, as far as expressions may read it."""

    #: None for a step that was stopped at its timeout or never started.
    exit_code: int | None
    #: What it printed, read as JSON; None where that was no JSON.
    output: object


def read_result(exit_code: int | None, stdout: str) -> StepResult:
    """The result of a step that ended so and printed this."""
    try:
        output = json.loads(stdout)
    except (ValueError, RecursionError):
        output = None
    return StepResult(exit_code=exit_code, output=output)


def inputs_of(labels: Mapping[str, str]) -> dict[str, str]:
    """The inputs that an alert's labels give; one that is no name of ours is none, and steps say so."""
    found = {name: labels.get(label, "") for name, label in LABEL_INPUTS.items()}
    return {name: value for name, value in found.items() if _SAFE.fullmatch(value)}
