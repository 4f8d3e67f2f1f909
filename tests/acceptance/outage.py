"""A small fleet that can be broken in several ways, and the people who are told of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from kokino.testing.broker import TestBroker
from kokino.testing.receivers import PagerIncident, RecordingPagerDuty, RecordingSlack

FLEET = """
[server]
public_url = "https://kokino.example"
[cli_types.claude-code]
driver = "scripted"
env = {{ KOKINO_SCRIPTED_LOGIN = "{home}/claude-login", KOKINO_SCRIPT = "{home}/claude-code.script" }}
[cli_types.codex]
driver = "scripted"
env = {{ KOKINO_SCRIPT = "{home}/codex.script" }}
[[agents]]
id = "writer"
cli_type = "claude-code"
cwd = "."
[[agents]]
id = "editor"
cli_type = "claude-code"
cwd = "."
env = {{ KOKINO_SCRIPT = "{home}/editor.script" }}
[[agents]]
id = "reviewer"
cli_type = "codex"
cwd = "."
[receivers.headless]
type = "slack"
url = "{slack}"
channel = "#headless-alerts"
[receivers.backend]
type = "pagerduty"
url = "{pagerduty}"
routing_key_env = "BACKEND_KEY"
[receivers.lead]
type = "pagerduty"
url = "{pagerduty}"
routing_key_env = "LEAD_KEY"
[receivers.director]
type = "pagerduty"
url = "{pagerduty}"
routing_key_env = "DIRECTOR_KEY"
[owners."@backend-team"]
receivers = ["headless", "backend"]
[owners."@platform-lead"]
receivers = ["lead"]
[owners."@eng-director"]
receivers = ["director"]
"""
AGENTS = ("writer", "editor", "reviewer")
MINUTE = timedelta(minutes=1)
#: Who is paged by which routing key.
KEYS = {"BACKEND_KEY": "b" * 32, "LEAD_KEY": "l" * 32, "DIRECTOR_KEY": "d" * 32}
PEOPLE = {"b" * 32: "@backend-team", "l" * 32: "@platform-lead", "d" * 32: "@eng-director"}


@dataclass(slots=True)
class Outage:
    """A broker with two CLI types and three agents, and what reached PagerDuty and Slack."""

    broker: TestBroker
    pagerduty: RecordingPagerDuty
    slack: RecordingSlack

    @property
    def home(self) -> Path:
        """The broker's folder."""
        return self.broker.home

    @property
    def now(self) -> datetime:
        """The time in the story."""
        return self.broker.clock.now()

    def login(self, state: str) -> None:
        """``ok`` or ``expired``: the login that both claude-code agents share."""
        self.home.mkdir(exist_ok=True)
        (self.home / "claude-login").write_text(state)

    def script(self, name: str, text: str) -> None:
        """What every execution of a CLI type, or of the editor, does from now on; empty heals it."""
        (self.home / f"{name}.script").write_text(text)

    async def traffic(self, rounds: int, *, agents: Sequence[str] = AGENTS, seconds: float = 30) -> list[Any]:
        """Each agent runs a prompt every so many seconds; the answers."""
        answers = []
        for _ in range(rounds):
            answers += [(await self.broker.execute(agent)).json() for agent in agents]
            await self.broker.fast_forward(seconds=seconds)
        return answers

    async def restart(self) -> None:
        """Stop the broker and start it again in the same home, at the same instant."""
        await self.broker.stop()
        await self.broker.start()
        await self.broker.settle()

    async def until(self, instant: datetime) -> None:
        """Let time pass up to `instant`."""
        await self.broker.fast_forward(seconds=(instant - self.now).total_seconds())

    @property
    def pages(self) -> list[tuple[str, str]]:
        """Who was paged, and what became of it, in order. Each page rang once, by one trigger."""
        assert [page for page in self.pagerduty.incidents if (page.pages, page.triggers) != (1, 1)] == []
        return [(PEOPLE[page.routing_key], page.state.value) for page in self.pagerduty.incidents]

    @property
    def page(self) -> PagerIncident:
        """The only page there was."""
        (page,) = self.pagerduty.incidents
        return page

    @property
    def posts(self) -> list[str]:
        """The messages in the Slack channel, with all their blocks."""
        return [json.dumps(message) for message in self.slack.messages]

    async def incident(self) -> Any:
        """The only incident there is, whole."""
        (listed,) = (await self.broker.get("/api/incidents"))["items"]
        return await self.broker.get(f"/api/incidents/{listed['id']}")

    async def timeline(self) -> list[str]:
        """The kinds of its entries, in order."""
        return [entry["kind"] for entry in (await self.incident())["timeline"]]

    async def said(self, kind: str) -> list[str]:
        """The texts of its entries of one kind."""
        return [entry["text"] for entry in (await self.incident())["timeline"] if entry["kind"] == kind]

    async def alert(self) -> Any:
        """The alert on availability."""
        alerts = await self.broker.get("/api/alerts")
        (alert,) = [one for one in alerts if one["ruleId"] == "availability-slo-breach"]
        return alert

    async def pattern(self) -> str | None:
        """What the playbook recognised."""
        (run,) = (await self.broker.get("/api/playbook-runs"))["items"]
        pattern: str | None = run["pattern"]
        return pattern


@asynccontextmanager
async def outage(home: Path, database_url: str | None = None) -> AsyncIterator[Outage]:
    """A fleet that is well, with nobody told of anything yet."""
    async with RecordingPagerDuty() as pagerduty, RecordingSlack() as slack:
        toml = FLEET.format(home=home, pagerduty=pagerduty.url, slack=slack.webhook_url)
        broker = TestBroker(home, toml, database_url=database_url, environment=KEYS)
        story = Outage(broker, pagerduty, slack)
        story.login("ok")
        async with broker:
            yield story


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
