"""What the doctor says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    #: ``binary``, ``environment``, ``auth``, ``disk``, ``dryrun``, ``version``; a program of the machine or a
    #: promise of it: ``subreaper``.
    name: str
    passed: bool
    #: What was found, and what to do where it failed.
    message: str
    #: False where all works without it, only dearer or later.
    is_required: bool = True
    #: The command that mends it, on one line. None where it passed, or where none is known: then the message
    #: says what to do.
    mend: str | None = None
    #: What works still but soon will not.
    warnings: tuple[str, ...] = ()
    #: False where nothing was looked at, and so nothing found.
    is_tried: bool = True

    @property
    def is_well(self) -> bool:
        """True where nothing that is needed is missing."""
        return self.passed or not self.is_required

    def to_document(self) -> dict[str, Any]:
        """As it is stored."""
        document = {name: getattr(self, name) for name in self.__slots__}
        return document | {"warnings": list(self.warnings)}

    @staticmethod
    def from_document(document: Mapping[str, Any]) -> Check:
        """The reverse of `to_document`."""
        return Check(**{**document, "warnings": tuple(document["warnings"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """One CLI type's health."""

    cli_type: str
    checks: tuple[Check, ...]
    checked_at: datetime

    @property
    def passed(self) -> bool:
        """True when every check passed that is needed."""
        return all(check.is_well for check in self.checks)

    @property
    def failed(self) -> tuple[Check, ...]:
        """What stands in the way."""
        return tuple(check for check in self.checks if not check.is_well)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What works still but soon will not."""
        return tuple(text for check in self.checks for text in check.warnings)


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
        return all(check.is_well for check in self.checks)
