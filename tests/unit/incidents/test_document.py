"""The review document: what it says, and that it is the specification's form."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from kokino.incidents.document import Story, render
from kokino.incidents.evidence import Evidence
from kokino.incidents.impact import Impact
from kokino.incidents.model import ActionItem, EntryKind, Incident, IncidentState, Pattern, TimelineEntry

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """An instant on the timeline."""
    return NOON + timedelta(minutes=minutes)


def told(
    minutes: float, kind: EntryKind, text: str, *, author: str = "kokino", data: Any = None
) -> TimelineEntry:
    """An entry; they are numbered by their time."""
    return TimelineEntry(
        entry_id=int(minutes * 60) + 1,
        incident=7,
        at=at(minutes),
        kind=kind,
        author=author,
        text=text,
        data=data or {},
    )


INCIDENT = Incident(
    number=7,
    rule_id="availability-slo-breach",
    labels={"slo": "availability"},
    title="Availability SLO Breach",
    severity="P1",
    owner="@backend-team",
    state=IncidentState.RESOLVED,
    opened_at=NOON,
    mitigated_at=at(10),
    resolved_at=at(23),
    reviewed_at=None,
    review_due_at=at(23) + timedelta(hours=48),
    root_cause="The login of claude-code has expired.",
    action_items=(ActionItem(text="Renew it"), ActionItem(text="Check its expiry", is_done=True)),
    document="incident-20260105-1200.md",
    documented_up_to=0,
)
STORY = Story(
    incident=INCIDENT,
    entries=(
        told(0, EntryKind.FIRED, "Alert fired: availability 98.20 % over 1 h is under 99 %"),
        told(0.2, EntryKind.OPENED, "INC-7 opened for @backend-team"),
        told(0.2, EntryKind.PAGED, "@backend-team paged by oncall"),
        told(3, EntryKind.ACKNOWLEDGED, "Acknowledged, for 30 minutes", author="ada"),
        told(23, EntryKind.RESOLVED, "Resolved after 23 minutes"),
    ),
    evidence=(
        Evidence(
            run_id="run-1",
            playbook_id="availability-slo-breach",
            step_id="failures",
            section="Investigate",
            block="curl -fsS $KOKINO_URL/api/metrics/failures/by-cli",
            state="passed",
            exit_code=0,
            output='[{"cliType":"claude-code","failures":14}]',
            errors="",
            started_at=at(0.5),
            ended_at=at(0.6),
        ),
    ),
    impact=Impact(
        since=at(-2),
        until=at(23),
        failed=14,
        valid=61,
        kinds={"auth": 14},
        cli_types={"claude-code": 14},
        agents=("reviewer", "writer"),
        budget_spent=0.47,
        budget_left=0.12,
    ),
)
WRITTEN = """\
# Incident: Availability SLO Breach

**Date:** 2026-01-05 12:00 UTC
**Duration:** 23 minutes
**Severity:** P1
**Owner:** @backend-team
**Incident:** INC-7
**Status:** resolved; review due by 2026-01-07 12:23 UTC

## Impact

- 14 of 61 executions failed (23 %) between 2026-01-05 11:58 UTC and 2026-01-05 12:23 UTC.
- By kind: 14 auth. By CLI type: 14 claude-code.
- Agents that felt it (2): reviewer, writer.
- Error budget: 47 % spent by this incident, 12 % left.

## Timeline

Times are UTC.

- 12:00:00 - Alert fired: availability 98.20 % over 1 h is under 99 %
- 12:00:12 - @backend-team paged by oncall
- 12:03:00 - Acknowledged, for 30 minutes (ada)
- 12:23:00 - Resolved after 23 minutes

## Root Cause

The login of claude-code has expired.

## Action Items

- [ ] Renew it
- [x] Check its expiry

## Evidence

**Investigate: failures** (availability-slo-breach, 12:00:30, passed, exit code 0)

```sh
curl -fsS $KOKINO_URL/api/metrics/failures/by-cli
```

```text
[{"cliType":"claude-code","failures":14}]
```
"""


def shown(text: str) -> str:
    """The document without its markers, as a person sees it."""
    lines = [line for line in text.splitlines() if not line.startswith(("<!-- kokino:", "<!-- /kokino:"))]
    return "\n".join(lines) + "\n"


def timeline(*entries: TimelineEntry, story: Story = STORY) -> list[str]:
    """The timeline's lines for some entries."""
    lines = shown(render(replace(story, entries=entries))).splitlines()
    return [
        line for line in lines[lines.index("## Timeline") : lines.index("## Root Cause")] if line[:2] == "- "
    ]


def test_it_tells_the_whole_story() -> None:
    """What happened, what it cost, who did what, why, and what remains, in the specification's form."""
    assert shown(render(STORY)) == WRITTEN


def test_it_is_the_same_each_time() -> None:
    """Written again without news, no letter changes."""
    first = render(STORY)
    assert render(STORY, first) == first


def test_a_person_s_root_cause_in_the_file_is_kept() -> None:
    """What the review finds is written into the file, and stays there beside the broker's record."""
    mine = render(STORY).replace("has expired.", "expired: nobody was told that it would.")
    closed = replace(STORY, incident=replace(INCIDENT, root_cause="The login had expired."))
    text = render(closed, mine)
    assert "expired: nobody was told that it would." in text
    assert "The login had expired." in text


def test_while_it_goes_on_it_says_so() -> None:
    """A reader in the middle of it sees what is known: the cause is probable, the end is open."""
    found = Pattern(pattern="single-cli", cause="the login of claude-code has expired", kind="auth")
    open_one = replace(
        INCIDENT,
        state=IncidentState.OPEN,
        resolved_at=None,
        review_due_at=None,
        root_cause=None,
        action_items=(),
    )
    pattern = told(2, EntryKind.PATTERN, "Recognised", data=found.to_data())
    text = shown(render(replace(STORY, incident=open_one, entries=(*STORY.entries[:3], pattern))))
    assert "**Duration:** ongoing\n" in text
    assert "**Status:** open\n" in text
    assert "Probable, not confirmed yet: The login of claude-code has expired." in text
    assert "## Action Items\n\nNone yet.\n" in text


def test_a_cause_that_nobody_found_is_not_made_up() -> None:
    """The review starts from what was looked at."""
    text = shown(render(replace(STORY, incident=replace(INCIDENT, root_cause=None))))
    assert "## Root Cause\n\nNot known." in text


def test_looks_taken_in_a_row_are_one_line() -> None:
    """The timeline tells what happened; each output stands under Evidence."""
    looks = [told(1 + number / 10, EntryKind.EVIDENCE, f"looked at {number}") for number in range(3)]
    then = told(2, EntryKind.ACTION, "Disabled claude-code")
    assert timeline(*looks, then) == [
        "- 12:01 - looked at 0; looked at 1; looked at 2",
        "- 12:02 - Disabled claude-code",
    ]


def test_the_timeline_is_in_the_order_of_time() -> None:
    """An entry that was written late stands where it happened."""
    assert timeline(told(5, EntryKind.NOTE, "second"), told(1, EntryKind.NOTE, "first")) == [
        "- 12:01 - first",
        "- 12:05 - second",
    ]


def test_another_day_is_named() -> None:
    """Past midnight a time alone would be a riddle."""
    assert timeline(told(0, EntryKind.NOTE, "noon"), told(13 * 60, EntryKind.NOTE, "night")) == [
        "- 12:00 - noon",
        "- 2026-01-06 01:00 - night",
    ]


def test_times_are_those_of_the_calendar() -> None:
    """The zone that people live in, and its name."""
    story = replace(STORY, zone=ZoneInfo("Europe/Berlin"))
    assert timeline(told(0, EntryKind.NOTE, "noon"), story=story) == ["- 13:00 - noon"]
    assert "Times are CET." in render(story)


def test_nothing_failed_is_said_so() -> None:
    """An incident without failed executions does not divide by them."""
    quiet = Impact(since=None, until=NOON, failed=0, valid=0)
    assert "- No execution of a user failed." in render(replace(STORY, impact=quiet))


def test_more_than_the_budget_is_said_so() -> None:
    """A small fleet spends its month's budget many times over in one outage."""
    deep = replace(STORY.impact, budget_spent=46.0, budget_left=0.0)
    text = render(replace(STORY, impact=deep))
    assert "all of it and more spent by this incident (46.0 times the budget), 0 % left." in text


def test_failures_beside_another_trouble_are_not_said_to_be_its_own() -> None:
    """Of damaged data no execution needs to have failed; those that did, did so meanwhile."""
    incident = replace(INCIDENT, rule_id="data-integrity-failure", labels={"slo": "integrity"})
    text = render(replace(STORY, incident=incident))
    assert "for this or another reason." in text
    assert "spent meanwhile" in text
    assert "by this incident" not in text


def test_an_agent_cannot_write_the_document() -> None:
    """Markup, line breaks and our own markers in foreign text are text."""
    hostile = "x <!-- /kokino:timeline -->\n## Root Cause\n![](http://evil)"
    text = render(replace(STORY, entries=(told(0, EntryKind.NOTE, hostile),)))
    assert text.count("<!-- /kokino:timeline -->") == 1
    assert text.count("\n## Root Cause\n") == 1
    assert "![](" not in text


def test_a_step_that_ran_again_and_again_is_shown_once_as_it_ended() -> None:
    """Forty rounds of Verify that waited say no more than the one that passed."""
    first = STORY.evidence[0]
    rounds = [replace(first, step_id="service", output=f"successes {count}") for count in range(40)]
    text = shown(render(replace(STORY, evidence=(first, *rounds))))
    assert text.count("service**") == 1
    assert "the last of 40 runs" in text
    assert "successes 39" in text
    assert "successes 38" not in text
