"""Each step of the story is seen when it happened, and not a moment before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kokino.drills import login_expires
from kokino.drills.fleet import MEMBERS, Fleet
from kokino.drills.login_expires import HEALTHY, LoginExpires
from kokino.drills.observe import Facts, post_lines
from kokino.drills.story import Sighting
from kokino.testing.receivers import ROUTING_KEY, PagerIncident, PagerState

STORY = LoginExpires(fleet=Fleet(home=Path("/nowhere")), cli_type="claude-code")
NOW = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
EMPTY = Facts(at=NOW, availability={})


def at(minute: int) -> str:
    """An instant as the API writes it."""
    return f"2026-01-05T09:{minute:02d}:00.000Z"


def execution(agent: str, cli_type: str, *, minute: int = 1, **more: Any) -> dict[str, Any]:
    """One that ended well unless told otherwise."""
    given = {"agentId": agent, "cliType": cli_type, "queuedAt": at(minute), "endedAt": at(minute)}
    return {**given, "state": "completed", "kind": None, "error": None, "label": None, **more}


def entry(kind: str, text: str = "", *, minute: int = 5, **data: Any) -> dict[str, Any]:
    """One entry of a timeline."""
    return {"kind": kind, "at": at(minute), "text": text, "data": data}


def incident(*entries: Mapping[str, Any], state: str = "open") -> dict[str, Any]:
    """An incident with this timeline."""
    return {"id": "INC-1", "state": state, "timeline": list(entries), "document": "incident.md"}


def sees(step_id: str, facts: Facts) -> Sighting | None:
    """What the story's step sees in these facts."""
    [step] = [step for step in STORY.steps if step.id == step_id]
    return step.sees(facts)


HEALTHY_FLEET = [execution(member.agent_id, member.cli_type) for member in MEMBERS] * (
    HEALTHY // len(MEMBERS)
)
MOVED = entry("action", step="disable-cli", state="passed")
PARKED = entry("action", step="park-account", state="passed")
RESTORED = (
    entry("restored", step="resume-account", state="passed", minute=20),
    entry("restored", step="enable-cli", state="passed", minute=20),
)
OUT_OF_USE = {
    "disabledCLIs": [{"cli": "claude-code", "target": "codex", "reason": "P1", "probes": {}}],
    "pauses": [{"scope": "account", "id": "claude-code:~"}],
}
IN_USE: Mapping[str, Any] = {"disabledCLIs": [], "pauses": []}
PAGE = PagerIncident(
    routing_key=ROUTING_KEY,
    dedup_key="k",
    state=PagerState.OPEN,
    summary="Availability",
    severity="critical",
    pages=1,
    triggers=1,
)
OURS = STORY.fleet.of("claude-code")


@pytest.mark.parametrize("step", STORY.steps, ids=lambda step: step.id)
def test_no_step_is_seen_where_nothing_happened(step: Any) -> None:
    """A broker that does nothing passes no step."""
    assert step.sees(EMPTY) is None


def test_steps_have_names_of_their_own() -> None:
    """A report that names a step names one."""
    ids = [step.id for step in STORY.steps]
    assert len(set(ids)) == len(ids)


def test_a_fleet_is_healthy_once_every_agent_succeeded_and_none_failed() -> None:
    """One failure, or an agent that never answered, is not all agents answering."""
    failed = execution("writer", "claude-code", state="failed", kind="crash")
    without_translator = [one for one in HEALTHY_FLEET * 2 if one["agentId"] != "translator"]

    assert sees("healthy", replace(EMPTY, executions=HEALTHY_FLEET)) is not None
    assert sees("healthy", replace(EMPTY, executions=[*HEALTHY_FLEET, failed])) is None
    assert sees("healthy", replace(EMPTY, executions=without_translator)) is None


def test_only_failures_of_kind_auth_are_the_login_s() -> None:
    """A crash is another story."""
    auth = execution("writer", "claude-code", state="failed", kind="auth", error="401 login has expired")
    crash = execution("writer", "claude-code", state="failed", kind="crash", error="SIGSEGV")

    seen = sees("failures", replace(EMPTY, executions=[auth, auth]))
    assert seen is not None
    assert seen.details == ("401 login has expired",)
    assert sees("failures", replace(EMPTY, executions=[auth, crash, crash])) is None


def test_the_alert_is_told_with_its_reason() -> None:
    """The reason is the broker's own, from its timeline."""
    alert = {"severity": "P1", "title": "Availability", "owner": "@us", "firingAt": at(5), "state": "firing"}
    found = incident(entry("fired", "Alert fired: availability 85 % over 1 h is under 99 %"))

    seen = login_expires.alert_fires(replace(EMPTY, alert=alert, incident=found))
    assert seen is not None
    assert seen.details == ("availability 85 % over 1 h is under 99 %",)
    assert (
        login_expires.alert_fires(replace(EMPTY, incident=found, alert={**alert, "firingAt": None})) is None
    )


def test_a_page_has_arrived_when_both_receivers_have_it() -> None:
    """That the broker says so is not enough."""
    told = replace(EMPTY, incident=incident(entry("paged", "@us paged by oncall")))
    post = (
        "🚨 P1: Availability",
        "*Current:* 85 % &lt; 99.5 %",
        "<http://kokino/a|Dashboard> · <http://kokino/b|Runbook>",
    )

    seen = login_expires.page_arrives(replace(told, pages=[PAGE], posts=[post]))
    assert seen is not None
    assert seen.details == (
        "🚨 P1: Availability",
        "Current: 85 % < 99.5 %",
        "Dashboard: http://kokino/a",
        "Runbook: http://kokino/b",
    )
    assert login_expires.page_arrives(replace(told, pages=[PAGE])) is None
    assert login_expires.page_arrives(replace(told, posts=[post])) is None


def test_evidence_is_what_all_investigation_steps_said() -> None:
    """A step that failed leaves the investigation unseen."""
    row = {"cliType": "claude-code", "failures": 4, "total": 13, "kinds": {"auth": 4}}
    step = {"stepId": "by-cli", "section": "Investigate", "state": "passed", "output": json.dumps([row])}
    told = replace(EMPTY, incident=incident(entry("evidence")))

    seen = login_expires.evidence(replace(told, run={"steps": [step]}))
    assert seen is not None
    assert seen.details == ("claude-code: 4 of 13 failed (auth)",)
    other = {**step, "stepId": "log", "state": "failed"}
    assert login_expires.evidence(replace(told, run={"steps": [step, other]})) is None


@pytest.mark.parametrize(
    ("pattern", "is_seen"), [("single-cli-account", True), ("random", False), (None, False)]
)
def test_only_the_pattern_that_fits_counts(pattern: str | None, is_seen: bool) -> None:
    """Another row, or none, would have repaired something else."""
    recognised = entry("pattern")
    recognised["data"] = {
        "pattern": pattern,
        "cause": "The login has expired",
        "account": "claude-code:~",
        "cli_type": "claude-code",
        "kind": "auth",
    }
    found = incident(recognised)
    assert (login_expires.pattern(replace(EMPTY, incident=found)) is not None) is is_seen


def test_a_repair_counts_when_it_was_done_and_is_in_force() -> None:
    """A step that failed, or one whose effect is not there, moved nobody."""
    done = replace(EMPTY, incident=incident(MOVED, PARKED), fallback=OUT_OF_USE)
    failed = incident(entry("action", step="disable-cli", state="failed"))

    assert sees("moved", done) is not None
    assert sees("parked", done) is not None
    assert sees("moved", replace(done, fallback=IN_USE)) is None
    assert sees("parked", replace(done, fallback=IN_USE)) is None
    assert sees("moved", replace(done, incident=failed)) is None


def test_moved_agents_have_succeeded_when_each_has_elsewhere() -> None:
    """Successes from before the move, or on the old CLI type, or of one agent alone prove nothing."""
    moved = replace(EMPTY, incident=incident(MOVED))
    after = [execution(agent, "codex", minute=6) for agent in OURS]

    assert sees("repaired", replace(moved, executions=after)) is not None
    assert sees("repaired", replace(moved, executions=after[:-1])) is None
    assert (
        sees("repaired", replace(moved, executions=[execution(a, "codex", minute=1) for a in OURS])) is None
    )
    assert (
        sees("repaired", replace(moved, executions=[execution(a, "claude-code", minute=6) for a in OURS]))
        is None
    )


def test_the_alert_has_resolved_when_the_receivers_know() -> None:
    """An open page after the end would wake somebody for nothing."""
    cleared = replace(
        EMPTY,
        alert={"state": "resolved"},
        incident=incident(entry("cleared", "Alert cleared: recovered")),
        posts=[("🚨 P1: Availability",), ("✅ Resolved: P1: Availability",)],
    )
    resolved = replace(cleared, pages=[replace(PAGE, state=PagerState.RESOLVED)])

    assert login_expires.alert_resolves(resolved) is not None
    assert login_expires.alert_resolves(replace(cleared, pages=[PAGE])) is None
    assert login_expires.alert_resolves(replace(resolved, posts=resolved.posts[:1])) is None


def test_probes_are_good_when_the_last_three_are() -> None:
    """Good ones before a bad one do not count."""
    good = execution("probe.claude-code", "claude-code", label="probe")
    bad = {**good, "state": "failed"}

    assert sees("probed", replace(EMPTY, executions=[bad, good, good, good])) is not None
    assert sees("probed", replace(EMPTY, executions=[good, good, bad, good])) is None


def test_everything_is_switched_back_when_it_is_in_use_again() -> None:
    """Both undos are told, and neither effect is left."""
    done = replace(EMPTY, incident=incident(*RESTORED), fallback=IN_USE)

    assert sees("restored", done) is not None
    assert sees("restored", replace(done, fallback=OUT_OF_USE)) is None
    assert sees("restored", replace(done, incident=incident(RESTORED[0]))) is None


def test_the_review_is_written_when_it_tells_of_the_end() -> None:
    """A document from before the switch back is not the last one."""
    parts = "## Timeline\n{}\n## Root Cause\n## Action Items\n"
    told = replace(EMPTY, incident=incident(*RESTORED, state="resolved"))

    assert sees("review", replace(told, document=parts.format("- 09:20 - Switch back: done"))) is not None
    assert sees("review", replace(told, document=parts.format("- 09:11:07 - Alert cleared"))) is None


def test_what_was_there_instead_is_said_in_one_line() -> None:
    """Somebody who reads only the last line learns what went wrong."""
    crash = execution("writer", "claude-code", state="failed", kind="crash")
    found = replace(
        EMPTY, executions=[crash], incident=incident(entry("note", "Monitor: done")), fallback=OUT_OF_USE
    )

    words = found.in_words()
    for wanted in ("1 crash", "never been active", "claude-code", "INC-1 is open", "Monitor: done"):
        assert wanted in words


def test_a_post_is_read_as_people_read_it() -> None:
    """Header and sections, a line each; the footer is for machines."""
    payload = {
        "text": "fallback",
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": "P1"}},
            {"type": "section", "text": {"type": "mrkdwn", "text": "one\ntwo"}},
            {"type": "context", "elements": []},
        ],
    }
    assert post_lines(payload) == ("P1", "one", "two")
    assert post_lines({"text": "fallback"}) == ("fallback",)
