"""From a failing execution to a closed incident, through the front door, in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.acceptance.outage import MINUTE, Outage, outage


@pytest.fixture
async def story(tmp_path: Path) -> AsyncIterator[Outage]:
    """A fleet that is well."""
    async with outage(tmp_path / "home") as started:
        yield started


@pytest.mark.parametrize("restarts", [False, True], ids=["one-broker", "restarted-in-between"])
async def test_an_expired_login_is_paged_repaired_verified_and_written_down(
    tmp_path: Path, storage_url: str, restarts: bool
) -> None:
    """The whole story; a broker that is restarted at every stage loses nothing and sends nothing twice."""
    async with outage(tmp_path / "home", storage_url) as story:
        broker = story.broker

        async def stage() -> None:
            if restarts:
                await story.restart()

        # All is well.
        assert {answer["metadata"]["cliType"] for answer in await story.traffic(4)} == {
            "claude-code",
            "codex",
        }
        assert story.pages == []
        await stage()

        # The login expires; its second failure fires the alert, which pages at once.
        story.login("expired")
        failed = await story.traffic(2, agents=("writer", "editor"))
        assert {answer["error"] for answer in failed} == {"auth"}
        assert (await story.alert())["state"] == "firing"
        assert story.pages == [("@backend-team", "open")]
        assert story.page.severity == "critical"
        assert "Availability" in story.page.summary
        assert len(story.posts) >= 1
        assert "Availability" in story.posts[0]
        assert "https://kokino.example/" in story.posts[0]
        await stage()

        # The playbook knows it: the agents are moved, the account is parked.
        await broker.fast_forward(minutes=1)
        assert await story.pattern() == "single-cli-account"
        status = await broker.get("/api/fallback/status")
        assert [(off["cli"], off["target"]) for off in status["disabledCLIs"]] == [("claude-code", "codex")]
        assert [pause["scope"] for pause in status["pauses"]] == ["account"]
        assert (await story.incident())["state"] == "open"
        await stage()

        # Nobody has to wait for the repair: all work runs on the other CLI type, which proves it.
        moved = await story.traffic(6, seconds=60)
        assert {answer["metadata"]["cliType"] for answer in moved} == {"codex"}
        assert (await story.alert())["state"] == "resolved"
        assert story.pages == [("@backend-team", "resolved")]
        await stage()

        # The login is renewed: probes notice, and everything is switched back.
        assert (await broker.get("/api/fallback/status"))["disabledCLIs"] != []
        story.login("ok")
        await broker.fast_forward(minutes=5)
        await stage()
        status = await broker.get("/api/fallback/status")
        assert (status["disabledCLIs"], status["pauses"]) == ([], [])
        assert {answer["metadata"]["cliType"] for answer in await story.traffic(1, agents=["writer"])} == {
            "claude-code"
        }

        # One incident tells it, in order; so does the document.
        incident = await story.incident()
        assert incident["state"] == "resolved"
        assert await story.timeline() == [
            "opened",
            "fired",
            "paged",
            "evidence",
            "pattern",
            "action",
            "action",
            "cleared",
            "verified",
            "mitigated",
            "resolved",
            "restored",
            "restored",
        ]
        document = (story.home / "incidents" / incident["document"]).read_text()
        assert "login has expired" in document
        assert "@backend-team" in document
        assert "Switch back" in document
        assert story.pages == [("@backend-team", "resolved")]
        assert len(set(story.posts)) == len(story.posts)


async def test_a_page_that_nobody_answers_climbs_the_tiers(story: Outage) -> None:
    """Every CLI type fails: the lead hears after 15 minutes, the director when the playbook gives up."""
    fired_at = await every_cli_fails(story)
    told = [("@backend-team", "open")]
    assert story.pages == told

    await story.until(fired_at + 14 * MINUTE)
    assert story.pages == told
    await story.until(fired_at + 15 * MINUTE)
    told.append(("@platform-lead", "open"))
    assert story.pages == told

    await story.until(fired_at + 21 * MINUTE)
    told.append(("@eng-director", "open"))
    assert story.pages == told
    first, second = await story.said("escalated")
    assert first.endswith("not resolved within 15 minutes")
    assert "Verify did not hold within 20 min" in second
    assert len(await story.said("handed_over")) == 1
    assert (await story.incident())["state"] == "open"


async def test_a_cause_that_nobody_knows_changes_nothing_and_reaches_the_director_in_an_hour(
    story: Outage,
) -> None:
    """Too little ran to tell why: the playbook hands over to the lead, the last tier keeps its time."""
    fired_at = await little_fails(story)

    await story.until(fired_at + 10 * MINUTE)
    assert await story.pattern() is None
    assert (await story.broker.get("/api/fallback/status"))["disabledCLIs"] == []
    assert "Nothing was changed" in (await story.said("pattern"))[0]
    assert [owner for owner, _ in story.pages] == ["@backend-team", "@platform-lead"]

    await story.until(fired_at + 59 * MINUTE)
    assert [owner for owner, _ in story.pages] == ["@backend-team", "@platform-lead"]
    await story.until(fired_at + 60 * MINUTE)
    assert [owner for owner, _ in story.pages] == ["@backend-team", "@platform-lead", "@eng-director"]
    assert (await story.said("escalated"))[-1].endswith("not resolved within 60 minutes")


async def test_an_acknowledged_p1_still_climbs(story: Outage) -> None:
    """A P1 is escalated until it is resolved, whoever looks at it; the timeline says who does."""
    fired_at = await little_fails(story)
    alert = await story.alert()

    acknowledged = await story.broker.post(f"/api/alerts/{alert['alertId']}/acknowledge", by="ada")
    await story.broker.settle()

    assert acknowledged["acknowledgedBy"] == "ada"
    entries = (await story.incident())["timeline"]
    assert [entry["author"] for entry in entries if entry["kind"] == "acknowledged"] == ["ada"]
    assert story.pages == [("@backend-team", "acknowledged")]
    await story.until(fired_at + 60 * MINUTE)
    assert ("@eng-director", "open") in story.pages


async def test_a_mitigated_incident_wakes_nobody_further(story: Outage) -> None:
    """Once a person says that a repair holds, no further tier is told."""
    fired_at = await little_fails(story)

    await story.broker.post("/api/incidents/INC-1/mitigate", text="The login is renewed.", by="ada")

    await story.until(fired_at + 61 * MINUTE)
    assert story.pages == [("@backend-team", "open")]


async def test_when_every_cli_fails_nothing_is_disabled_and_recovery_is_waited_for(story: Outage) -> None:
    """The network is down: the pattern is all-clis, its action a note, its end the network's return."""
    await every_cli_fails(story)
    assert await story.pattern() == "all-clis"
    assert (await story.broker.get("/api/fallback/status"))["disabledCLIs"] == []
    assert "Wait for the outage to end: done" in (await story.said("action"))[0]

    story.script("claude-code", "")
    story.script("editor", "")
    story.script("codex", "")
    await story.traffic(7, seconds=60)

    assert (await story.incident())["state"] == "resolved"
    assert story.pages == [("@backend-team", "resolved")]
    assert len(await story.said("verified")) == 1


async def test_circuit_breakers_do_not_hide_the_cause(story: Outage) -> None:
    """Most prompts are refused by the time that the playbook looks: it finds the kind behind, and repairs."""
    await story.traffic(4)
    engine = story.broker.broker.services.engine
    await engine.stop()
    story.login("expired")
    answers = [await story.broker.execute(agent) for _ in range(9) for agent in ("writer", "editor")]
    assert [answer.status_code for answer in answers] == [502] * 10 + [503] * 8
    await engine.start()
    await story.broker.fast_forward(minutes=1)
    assert await story.pattern() == "single-cli-account"

    moved = await story.traffic(6, seconds=60)
    assert {answer["metadata"]["cliType"] for answer in moved} == {"codex"}
    story.login("ok")
    await story.broker.fast_forward(minutes=6)
    status = await story.broker.get("/api/fallback/status")
    assert (status["disabledCLIs"], status["pauses"]) == ([], [])
    circuits = (await story.broker.get("/agents/circuits/status"))["circuits"]
    assert {one["state"] for one in circuits} == {"closed"}
    assert (await story.incident())["state"] == "resolved"


async def test_a_used_up_quota_parks_its_account_and_the_playbook_moves_its_agents(story: Outage) -> None:
    """Hardly anything fails, for nothing runs: that prompts wait in vain for a parked account is evidence."""
    await story.traffic(4)
    story.script("claude-code", "fail quota")
    assert (await story.broker.execute("writer")).json()["error"] == "quota"
    for _ in range(20):
        for agent in ("writer", "editor"):
            await story.broker.http.post(
                f"/agents/{agent}/execute", json={"prompt": "Hello."}, headers={"Prefer": "respond-async"}
            )
        await story.broker.fast_forward(seconds=30)
    assert await story.pattern() == "single-cli-account"
    status = await story.broker.get("/api/fallback/status")
    assert [(off["cli"], off["target"]) for off in status["disabledCLIs"]] == [("claude-code", "codex")]
    assert "quota" in status["disabledCLIs"][0]["reason"]
    queued = await story.broker.get("/executions?state=queued")
    assert queued["items"] == []


async def test_an_outage_that_opens_every_circuit_breaker_ends_by_their_trials(story: Outage) -> None:
    """Nobody resets anything: agents find out by themselves that the network is back, and Verify sees it."""
    await every_cli_fails(story)
    await story.traffic(6, seconds=10)
    circuits = (await story.broker.get("/agents/circuits/status"))["circuits"]
    assert {one["state"] for one in circuits} == {"open"}
    assert await story.pattern() == "all-clis"

    for name in ("claude-code", "editor", "codex"):
        story.script(name, "")
    await story.broker.fast_forward(seconds=60)
    await story.traffic(7, seconds=60)
    assert (await story.incident())["state"] == "resolved"
    assert story.pages == [("@backend-team", "resolved")]


async def test_one_broken_agent_has_its_session_reset_and_its_cli_type_stays(story: Outage) -> None:
    """Its peers with the same login are well: the pattern is single-agent."""
    await story.traffic(4)
    story.script("editor", "crash 3")
    await story.traffic(3)
    await story.broker.fast_forward(minutes=1)
    assert await story.pattern() == "single-agent"
    assert (await story.broker.get("/api/fallback/status"))["disabledCLIs"] == []
    (action,) = await story.said("action")
    assert action.startswith("Reset the agent's session: done")
    assert "editor" in action

    story.script("editor", "")
    await story.traffic(6, seconds=60)

    assert (await story.incident())["state"] == "resolved"
    assert story.pages == [("@backend-team", "resolved")]


async def test_scattered_failures_are_watched_and_nothing_is_changed(story: Outage) -> None:
    """No CLI type and no agent stands out: the pattern is random."""
    for unlucky in ("writer", "reviewer", "editor"):
        await story.traffic(2)
        await story.broker.execute(unlucky, "script: fail rate_limit")
    await story.broker.fast_forward(minutes=1)
    assert await story.pattern() == "random"
    assert (await story.broker.get("/api/fallback/status"))["disabledCLIs"] == []
    assert (await story.said("action"))[0].startswith("Monitor: done")

    await story.traffic(6, seconds=60)

    assert (await story.incident())["state"] == "resolved"
    assert story.pages == [("@backend-team", "resolved")]


async def test_a_page_that_pagerduty_did_not_take_is_sent_again_and_rings_once(story: Outage) -> None:
    """An answer that got lost is uncertain, not failed: the same key is sent again, nobody is woken twice."""
    story.pagerduty.drop_next()
    await every_cli_fails(story)
    await story.broker.fast_forward(minutes=1)

    page = story.pagerduty.incidents[0]
    assert (page.pages, page.triggers) == (1, 2)
    deliveries = (await story.broker.get("/api/deliveries"))["items"]
    assert [one["state"] for one in deliveries if one["receiver"] == "backend"] == ["delivered"]


async def every_cli_fails(story: Outage) -> datetime:
    """After a while of good traffic the network goes; when the alert fired."""
    await story.traffic(2)
    for name in ("claude-code", "editor", "codex"):
        story.script(name, "fail network")
    await story.traffic(3)
    return datetime.fromisoformat((await story.alert())["firingAt"])


async def little_fails(story: Outage) -> datetime:
    """Two failures among three executions fire the alert and tell nobody why; when it fired."""
    await story.traffic(1, agents=["reviewer"])
    story.login("expired")
    await story.traffic(2, agents=["writer"])
    return datetime.fromisoformat((await story.alert())["firingAt"])
