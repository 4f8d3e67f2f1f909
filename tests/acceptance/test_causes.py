"""What is done about an outage depends on its cause, and what is done about nothing does no harm."""

from __future__ import annotations

from tests.acceptance.outage import Outage, every_cli_fails


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
