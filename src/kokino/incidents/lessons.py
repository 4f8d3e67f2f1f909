"""What an incident teaches, from what happened in it: its root cause in words and first action items.

People add to both; nothing here replaces what they wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

from kokino.agents.failures import FailureKind
from kokino.incidents.model import EntryKind, Pattern, TimelineEntry

#: A page should have found somebody by then: the specification escalates after 15 minutes.
ANSWER_WITHIN = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How an incident went, as far as lessons are drawn from it."""

    rule_id: str
    #: From the first alert to the end.
    lasted: timedelta
    #: What the playbook recognised; None when no playbook looked.
    finding: Pattern | None
    #: CLI types that are still disabled at the end, and why: ``{"claude-code": "P1: …"}``.
    disabled: dict[str, str]
    #: True once a playbook or a person changed something to help.
    was_repaired: bool
    was_acknowledged: bool


def latest_pattern(entries: Iterable[TimelineEntry]) -> Pattern | None:
    """What the playbook recognised last; None when no playbook has said anything."""
    found = [entry for entry in entries if entry.kind is EntryKind.PATTERN]
    return Pattern.from_data(found[-1].data) if found else None


def found_cause(finding: Pattern | None) -> str | None:
    """The cause as a paragraph; None when nothing was recognised."""
    if finding is None or finding.pattern is None or not finding.cause:
        return None
    playbook = f" of the playbook `{finding.playbook}`" if finding.playbook else ""
    kind = f"; the failures were of kind `{finding.kind}`" if finding.kind else ""
    return f"{_sentence(finding.cause)} Found by pattern `{finding.pattern}`{playbook}{kind}."


def action_items(course: Course) -> tuple[str, ...]:
    """What is to be done so that it does not happen again, the most direct first."""
    return tuple(item for about in ABOUT for item in about(course))


def _about_cause(course: Course) -> Iterable[str]:
    if course.finding is None or course.finding.kind is None:
        return ()
    remedy = REMEDIES.get(course.finding.kind)
    return remedy(course.finding) if remedy else ()


def _about_fallback(course: Course) -> Iterable[str]:
    for cli_type, reason in sorted(course.disabled.items()):
        yield f"Enable {cli_type} again: it is still disabled ({reason})"


def _about_playbook(course: Course) -> Iterable[str]:
    if course.finding is None:
        yield f"Find out why no playbook looked into {course.rule_id}"
    elif course.finding.pattern is None:
        yield f"Add a pattern for this failure to playbooks/{course.rule_id}.md: none matched"
    elif not course.was_repaired:
        yield f"Add a repair for the pattern {course.finding.pattern}: it was recognised, but not repaired"


def _about_people(course: Course) -> Iterable[str]:
    if course.lasted >= ANSWER_WITHIN and not course.was_acknowledged:
        minutes = int(course.lasted / timedelta(minutes=1))
        yield f"Find out why nobody acknowledged the page in {minutes} minutes"


def _account(finding: Pattern) -> str:
    return f"account {finding.account}" if finding.account else f"the account of {_cli(finding)}"


def _cli(finding: Pattern) -> str:
    return finding.cli_type or finding.agent_id or "the failing agents"


def _auth(finding: Pattern) -> tuple[str, ...]:
    return (
        f"Renew the login of {_account(finding)}",
        "Add an expiry check of that login to the environment doctor, to renew it before it expires",
    )


def _quota(finding: Pattern) -> tuple[str, ...]:
    return (
        f"Raise the quota of {_account(finding)}, or move some of its agents to another account",
        "Set a spend limit that parks agents before the quota is used up",
    )


def _rate_limit(finding: Pattern) -> tuple[str, ...]:
    return (f"Run fewer agents of {_account(finding)} at a time, to stay below the vendor's rate",)


def _cli_missing(finding: Pattern) -> tuple[str, ...]:
    return (f"Install {_cli(finding)} again where its agents run, and pin its version",)


def _network(finding: Pattern) -> tuple[str, ...]:
    return (
        f"Check the way to the model service of {_cli(finding)}: DNS, proxy, the vendor's incident report",
    )


def _broken_cli(finding: Pattern) -> tuple[str, ...]:
    return (
        f"Report the failure of {_cli(finding)} to its vendor, with the records of one execution",
        f"Pin the last version of {_cli(finding)} that worked",
    )


def _slow(finding: Pattern) -> tuple[str, ...]:
    return (f"Find out what kept executions of {_cli(finding)} from ending within their deadline",)


def _memory(finding: Pattern) -> tuple[str, ...]:
    return (f"Find out what grew in the processes of {_cli(finding)} before its memory limit is raised",)


#: First remedies for a kind of failure; a kind that is not here needs a person's judgement.
REMEDIES: dict[str, Callable[[Pattern], tuple[str, ...]]] = {
    FailureKind.AUTH: _auth,
    FailureKind.QUOTA: _quota,
    FailureKind.RATE_LIMIT: _rate_limit,
    FailureKind.CLI_MISSING: _cli_missing,
    FailureKind.SPAWN: _cli_missing,
    FailureKind.NETWORK: _network,
    FailureKind.CRASH: _broken_cli,
    FailureKind.PROTOCOL: _broken_cli,
    FailureKind.TIMEOUT: _slow,
    FailureKind.IDLE_TIMEOUT: _slow,
    FailureKind.OOM: _memory,
}


#: Where lessons come from, the most direct first.
ABOUT = (_about_cause, _about_fallback, _about_playbook, _about_people)


def _sentence(text: str) -> str:
    text = text.strip()
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
