"""What a check has seen so far."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from kokino.integrity.model import MOST_FINDINGS, Finding, Kind, Report, Trigger

#: Graver first.
_GRAVITY = tuple(Kind)


@dataclass(slots=True)
class Seen:
    """What a check has seen so far. Bounded, however much is wrong."""

    conversations: int = 0
    turns: int = 0
    total: int = 0
    counts: Counter[Kind] = field(default_factory=Counter)
    repairable: Counter[Kind] = field(default_factory=Counter)
    not_checked: list[str] = field(default_factory=list)
    #: Foreign turns that somebody accepted: no fault.
    accepted: int = 0
    #: Conversations with a fault.
    affected: int = 0
    _kept: dict[Kind, list[Finding]] = field(default_factory=lambda: defaultdict(list))

    def note(self, finding: Finding) -> None:
        """Take one finding into account."""
        self.total += 1
        self.counts[finding.kind] += finding.count
        if finding.is_repairable:
            self.repairable[finding.kind] += finding.count
        if len(self._kept[finding.kind]) < MOST_FINDINGS:
            self._kept[finding.kind].append(finding)

    @property
    def findings(self) -> list[Finding]:
        """The first of them, the gravest kinds first."""
        return [finding for kind in _GRAVITY for finding in self._kept[kind]][:MOST_FINDINGS]

    def report(
        self, *, check_id: str, trigger: Trigger, by: str, started_at: datetime, took: timedelta
    ) -> Report:
        """What all of it comes to."""
        return Report(
            check_id=check_id,
            trigger=trigger,
            by=by,
            started_at=started_at,
            took=took,
            conversations=self.conversations,
            turns=self.turns,
            affected=self.affected,
            counts=dict(self.counts),
            repairable=dict(self.repairable),
            findings=self.findings,
            total=self.total,
            not_checked=self.not_checked,
            accepted=self.accepted,
        )
