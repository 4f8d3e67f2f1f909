"""What an incident cost the users: counted from their executions, never estimated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from kokino.clock import from_ms, to_ms
from kokino.incidents import words


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """Users' executions from the first failure until the end; probes and drills are not among them."""

    #: End of the first failed execution; None when none failed.
    since: datetime | None
    #: When the incident ended, or up to when was counted.
    until: datetime
    #: Failed, timed out, refused or lost.
    failed: int
    #: Failed and completed; cancelled ones are neither.
    valid: int
    #: Failed ones by kind: ``{"auth": 14}``.
    kinds: Mapping[str, int] = field(default_factory=dict)
    #: Failed ones by CLI type.
    cli_types: Mapping[str, int] = field(default_factory=dict)
    #: Agents with a failed execution, by id.
    agents: tuple[str, ...] = ()
    #: Share of the error budget that these failures took; above 1 when more than there was. None without any.
    budget_spent: float | None = None
    #: Share that is left of it at the end, 0 to 1.
    budget_left: float | None = None

    def to_data(self) -> dict[str, Any]:
        """As the timeline keeps it."""
        since = None if self.since is None else to_ms(self.since)
        return {**asdict(self), "since": since, "until": to_ms(self.until), "agents": list(self.agents)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Impact:
        """The reverse of `to_data`."""
        since = None if data["since"] is None else from_ms(data["since"])
        values = {**data, "since": since, "until": from_ms(data["until"]), "agents": tuple(data["agents"])}
        return cls(**values)


def sentences(impact: Impact, zone: tzinfo, *, is_its_own: bool = True) -> Iterator[str]:
    """The cost in sentences, for the review document.

    It is the incident's own where that is about executions that fail. Beside another trouble, such as damaged
    data, executions may fail for reasons of theirs.
    """
    if impact.since is None:
        yield "No execution of a user failed."
        return
    span = f"between {words.instant(impact.since, zone)} and {words.instant(impact.until, zone)}"
    rate = words.share(impact.failed / impact.valid)
    meanwhile = "" if is_its_own else ", for this or another reason"
    yield f"{impact.failed} of {impact.valid} executions failed ({rate}) {span}{meanwhile}."
    yield f"By kind: {_counts(impact.kinds)}. By CLI type: {_counts(impact.cli_types)}."
    yield f"Agents that felt it ({len(impact.agents)}): {', '.join(impact.agents)}."
    if impact.budget_spent is not None and impact.budget_left is not None:
        left = words.share(impact.budget_left)
        spent = _spent(impact.budget_spent, "by this incident" if is_its_own else "meanwhile")
        yield f"Error budget: {spent}, {left} left."


def _spent(share: float, how: str) -> str:
    if share < 1:
        return f"{words.share(share)} spent {how}"
    return f"all of it and more spent {how} ({share:.1f} times the budget)"


def _counts(figures: Mapping[str, int]) -> str:
    """``14 auth, 2 timeout``: the most frequent first."""
    ordered = sorted(figures.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {name}" for name, count in ordered)
