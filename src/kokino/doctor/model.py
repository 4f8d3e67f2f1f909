"""What the doctor says."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    #: ``binary``, ``environment`` or ``disk``.
    name: str
    passed: bool
    #: What was found, and what to do where it failed.
    message: str


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
