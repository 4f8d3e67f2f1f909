"""From a failing execution to a closed incident, through the front door, in virtual time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.outage import outage


@pytest.mark.parametrize(
    ("new_storage_url", "restarts"),
    [("sqlite", False), ("postgresql", True)],
    ids=["one-broker-sqlite", "restarted-in-between-postgresql"],
    indirect=["new_storage_url"],
)
async def test_an_expired_login_is_paged_repaired_verified_and_written_down(
    tmp_path: Path, new_storage_url: str, restarts: bool
) -> None:
    """The whole story; a broker that is restarted at every stage loses nothing and sends nothing twice."""
    async with outage(tmp_path / "home", new_storage_url) as story:
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
