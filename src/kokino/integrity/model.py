"""What an integrity check finds, and what came of a cleanup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

#: Findings that a check keeps one by one; the rest are in its counts.
MOST_FINDINGS = 100
#: Ids that one finding names.
MOST_IDS = 20
#: Rows that a cleanup deletes without being told how many: never more than so many, ...
MOST_DELETED = 100
#: ... nor more than one in so many turns, ...
DELETED_OF = 100
#: ... but so many always: of a handful of turns a hundredth is none.
FEW_DELETED = 10

#: What is put right without a row being deleted.
_KEPT = frozenset({"lost_conversation", "turn_order"})


class Kind(StrEnum):
    """What is wrong."""

    #: The database's file itself, or an index: what is read may be wrong or missing.
    FILE_DAMAGE = "file_damage"
    #: A value is none that its column holds: whoever reads it fails by it.
    UNREADABLE_VALUE = "unreadable_value"
    #: A turn's conversation is not there, but an execution still tells whose it was and when it began.
    LOST_CONVERSATION = "lost_conversation"
    #: A turn belongs to a conversation that is not there, and nothing tells of it any more.
    ORPHANED_TURN = "orphaned_turn"
    #: The turns of a conversation stand in another order than they were said in.
    TURN_ORDER = "turn_order"
    #: A conversation has one side of one execution twice.
    DUPLICATE_TURN = "duplicate_turn"
    #: A turn names an execution that is not there, or one of another agent.
    FOREIGN_TURN = "foreign_turn"
    #: An agent's session goes on with a conversation that is not there: its next prompt would fail.
    DANGLING_SESSION = "dangling_session"
    #: An execution runs that holds no lock, or is over at no time: it will never end.
    EXECUTION_WITHOUT_END = "execution_without_end"
    #: Any other row whose foreign key leads nowhere: a record of no execution, for one.
    FOREIGN_KEY = "foreign_key"


class Trigger(StrEnum):
    """Why a check was made."""

    NIGHTLY = "nightly"
    ASKED = "asked"
    CLEANUP = "cleanup"
    #: A person decided about foreign turns.
    DECISION = "decision"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong."""

    kind: Kind
    #: What and where, as a sentence.
    message: str
    #: What to do about it, or what a cleanup does.
    mend: str
    #: A cleanup may put it right: nothing is lost that the backup does not hold, and there is one way only.
    is_repairable: bool
    #: How many rows are concerned.
    count: int = 1
    #: The table that they are in; None for the file.
    table: str | None = None
    #: The first `MOST_IDS` of them.
    ids: Sequence[str] = ()
    #: The conversation concerned, where it is one; it counts for the service level.
    conversation_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one check came to."""

    check_id: str
    trigger: Trigger
    #: Who asked.
    by: str
    started_at: datetime
    #: What it took on this machine.
    took: timedelta
    #: Conversations and turns that it looked at; those that are not there but have turns are among them.
    conversations: int
    turns: int
    #: Conversations with at least one fault.
    affected: int
    #: Rows by kind, all of them; kinds without any are left out.
    counts: Mapping[Kind, int]
    #: The same, of what a cleanup may put right.
    repairable: Mapping[Kind, int]
    #: The first `MOST_FINDINGS` findings, the gravest kinds first.
    findings: Sequence[Finding]
    #: How many findings there are in all.
    total: int
    #: What could not be looked at, and why.
    not_checked: Sequence[str]
    #: Foreign turns that somebody accepted: they are no fault.
    accepted: int = 0

    @property
    def passed(self) -> bool:
        """True where nothing was found."""
        return self.total == 0

    @property
    def is_all_repairable(self) -> bool:
        """True where something was found and a cleanup may put all of it right."""
        return self.total > 0 and self.counts == self.repairable

    @property
    def would_delete(self) -> int:
        """Rows that a cleanup would delete."""
        return sum(count for kind, count in self.repairable.items() if kind.value not in _KEPT)

    @property
    def may_delete(self) -> int:
        """Rows that a cleanup may delete unasked: more are no accident's leftovers but what was said."""
        return min(MOST_DELETED, max(FEW_DELETED, self.turns // DELETED_OF))

    @property
    def is_damaged(self) -> bool:
        """True where the file itself is: nothing that was read of it can be relied on."""
        return Kind.FILE_DAMAGE in self.counts

    @property
    def is_unreadable(self) -> bool:
        """True where values cannot be read: not all that is wrong was seen."""
        return Kind.UNREADABLE_VALUE in self.counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Repairs:
    """Rows that a cleanup has put right, by kind."""

    #: Deleted; the backup holds them.
    deleted: Mapping[Kind, int]
    #: Turns that got their right number.
    renumbered: int = 0
    #: Conversations that are there again, as their executions tell of them.
    restored: int = 0

    @property
    def deleted_count(self) -> int:
        """All deleted rows."""
        return sum(self.deleted.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A finding that a cleanup leaves alone."""

    kind: Kind
    message: str
    #: Why, and what to do.
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleanup:
    """What a cleanup did, or would do."""

    is_dry_run: bool
    #: What was found before; a dry run's only check.
    before: Report
    #: What was found afterwards; None for a dry run.
    after: Report | None
    repairs: Repairs
    #: Where the backup is; None where nothing was to be repaired.
    backup: str | None
    #: The first `MOST_FINDINGS` of what stays.
    refused: Sequence[Refusal]
