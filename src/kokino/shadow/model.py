"""What a comparison is: two sides of one prompt, and the verdict on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

#: What a side changed, by path below its root: a hash of what the file holds now, None where it is gone.
Changed = Mapping[str, str | None]


class Side(StrEnum):
    """The two ways in which one prompt runs."""

    #: In the real directory; its answer is the caller's.
    TMUX = "tmux"
    #: In a snapshot of it; nobody gets its answer.
    HEADLESS = "headless"


class Verdict(StrEnum):
    """What a comparison came to."""

    MATCH = "match"
    MISMATCH = "mismatch"
    #: It says nothing about the two sides; its reason tells why.
    NOT_COMPARED = "not_compared"


class Layer(StrEnum):
    """What decided, in the order in which they are asked."""

    OUTCOME = "outcome"
    FILES = "files"
    EXACT = "exact"
    NORMALISED = "normalised"
    SIMILARITY = "similarity"


class Context(StrEnum):
    """How the shadow side knows what was said before."""

    #: Nothing was: the agent's session begins with this prompt.
    FRESH = "fresh"
    #: A copy of the agent's own session.
    FORK = "fork"
    #: The shadow session has accompanied every turn of the conversation.
    CONTINUE = "continue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one side came to."""

    #: The end state of its execution.
    state: str
    #: Why it failed, one word; None where it did not.
    kind: str | None = None
    content: str = ""
    #: None where it is not known; then files are not compared.
    changed: Changed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Whether two sides came to the same, and what tells so."""

    verdict: Verdict
    layer: Layer
    #: One line for a person.
    reason: str
    #: Of the normalised answers, 0 to 1; None where an earlier layer decided, or it is under the threshold by
    #: so much that it was not measured.
    similarity: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one side of a comparison took."""

    state: str | None = None
    kind: str | None = None
    error: str | None = None
    duration_ms: int | None = None
    #: The most memory that its process tree took at one time.
    peak_memory_bytes: int | None = None
    cost_usd: float | None = None

    @property
    def is_completed(self) -> bool:
        """It came to an answer."""
        return self.state == "completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One prompt that ran both ways, or was meant to."""

    #: The users' execution, by tmux.
    execution_id: str
    #: The one beside it; None where it was never begun.
    shadow_execution_id: str | None
    agent_id: str
    cli_type: str
    account: str
    #: None for users' work.
    label: str | None
    conversation_id: str | None
    began_at: datetime
    #: When it was judged; None while a side runs.
    ended_at: datetime | None = None
    #: The real directory that the snapshot is of.
    root: str
    context: Context | None = None
    #: Similarity from which on two answers count as the same.
    threshold: float
    #: What the tmux side changed; None before its end, and where nobody saw it.
    changed: Changed | None = None
    #: Why the broker ended the shadow side; None where it did not.
    cut_off: str | None = None
    verdict: Verdict | None = None
    layer: Layer | None = None
    reason: str | None = None
    similarity: float | None = None
    #: Headless took much longer.
    is_regression: bool = False
    tmux: Run = Run()
    headless: Run = Run()
    #: The two answers and the changed files, as a unified diff; only of a mismatch.
    difference: str | None = None
