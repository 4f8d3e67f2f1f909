"""What the doctor says."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    #: ``binary``, ``environment``, ``disk``, or a promise of the machine's: ``subreaper``.
    name: str
    passed: bool
    #: What was found, and what to do where it failed.
    message: str
    #: False where all works without it, only dearer or later.
    is_required: bool = True
    #: The command that mends it; None where it passed, or where none is known.
    mend: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """One CLI type's health."""

    cli_type: str
    checks: tuple[Check, ...]
    #: What works still but soon will not.
    warnings: tuple[str, ...] = field(default_factory=tuple)
    checked_at: datetime

    @property
    def passed(self) -> bool:
        """True when every check passed."""
        return all(check.passed for check in self.checks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervision:
    """What this machine can do for executions."""

    checks: tuple[Check, ...]
    #: How trees can be held together and measured here: "cgroup" or "tree walk".
    tier: str
    checked_at: datetime

    @property
    def passed(self) -> bool:
        """True when nothing is missing that supervision needs."""
        return all(check.passed for check in self.checks if check.is_required)
