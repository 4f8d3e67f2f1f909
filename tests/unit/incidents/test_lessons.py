"""What an incident teaches."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kokino.agents.failures import FailureKind
from kokino.incidents.lessons import Course, action_items, found_cause
from kokino.incidents.model import Pattern

KNOWN = Pattern(
    pattern="single-cli",
    cause="the login of claude-code has expired",
    cli_type="claude-code",
    account="work",
    kind="auth",
    playbook="availability-slo-breach",
)
COURSE = Course(
    rule_id="availability-slo-breach",
    lasted=timedelta(minutes=23),
    finding=KNOWN,
    disabled={},
    was_repaired=True,
    was_acknowledged=True,
)


def test_an_expired_login_is_renewed_and_watched() -> None:
    """The direct repair and what would have prevented it, with the account's name."""
    assert action_items(COURSE) == (
        "Renew the login of account work",
        "Add an expiry check of that login to the environment doctor, to renew it before it expires",
    )


def test_what_is_still_switched_over_is_taken_back() -> None:
    """A fallback that is forgotten is the next incident."""
    items = action_items(replace(COURSE, disabled={"claude-code": "single-cli"}))
    assert "Enable claude-code again: it is still disabled (single-cli)" in items


def test_an_unknown_failure_asks_for_a_pattern() -> None:
    """The specification: add new failure patterns discovered."""
    unknown = replace(COURSE, finding=Pattern(pattern=None), was_repaired=False)
    assert action_items(unknown) == (
        "Add a pattern for this failure to playbooks/availability-slo-breach.md: none matched",
    )


def test_a_playbook_that_never_looked_is_missed() -> None:
    """Silence of the machinery is a finding of its own."""
    items = action_items(replace(COURSE, finding=None))
    assert items == ("Find out why no playbook looked into availability-slo-breach",)


def test_a_known_failure_without_a_repair_asks_for_one() -> None:
    """What cleared by itself will come back by itself."""
    items = action_items(replace(COURSE, was_repaired=False))
    assert items[-1] == "Add a repair for the pattern single-cli: it was recognised, but not repaired"


@pytest.mark.parametrize(
    ("minutes", "is_asked"),
    [pytest.param(14, False, id="it was over soon"), pytest.param(15, True, id="long enough to be heard")],
)
def test_a_page_that_nobody_answered_is_looked_into(minutes: int, *, is_asked: bool) -> None:
    """Quarter of an hour without an answer is a fault of its own."""
    course = replace(COURSE, was_acknowledged=False, lasted=timedelta(minutes=minutes))
    assert (
        f"Find out why nobody acknowledged the page in {minutes} minutes" in action_items(course)
    ) is is_asked


@pytest.mark.parametrize("kind", list(FailureKind))
def test_every_kind_can_end_in_lessons(kind: FailureKind) -> None:
    """Whatever failed, with as little known as can be, the items are sentences without holes."""
    course = replace(COURSE, finding=Pattern(pattern="any", kind=kind))
    assert all("None" not in item for item in action_items(course))


def test_the_cause_says_where_it_comes_from() -> None:
    """A reader can check it."""
    assert found_cause(KNOWN) == (
        "The login of claude-code has expired. Found by pattern `single-cli` of the playbook "
        "`availability-slo-breach`; the failures were of kind `auth`."
    )


@pytest.mark.parametrize("finding", [None, Pattern(pattern=None), Pattern(pattern="single-cli")])
def test_no_cause_is_made_up(finding: Pattern | None) -> None:
    """Nothing looked, nothing matched, or a pattern without a cause."""
    assert found_cause(finding) is None
