"""A fleet of scripted agents: its configuration, its logins, and people who keep asking it things."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx

from kokino.clock import Clock
from kokino.tasks import Tasks

#: The environment variables that the configuration takes its receivers' secrets from.
ROUTING_KEY_ENV = "DEMO_PAGERDUTY_ROUTING_KEY"
WEBHOOK_ENV = "DEMO_SLACK_WEBHOOK_URL"
#: The word that stands for a login that is over (docs/scripted-agent.md).
EXPIRED = "expired"
#: How long an agent rests between two prompts, at least and at most.
REST = (timedelta(seconds=10), timedelta(seconds=20))
#: How long a caller waits for an answer, in real seconds; the broker's own deadline is far shorter.
PATIENCE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One agent of the fleet."""

    agent_id: str
    cli_type: str
    #: What it is asked, again and again.
    prompt: str
    #: What it answers, without a semicolon: that would end the directive.
    answer: str


#: Three agents share the login that will expire; the others are the healthy contrast.
MEMBERS = (
    Member(
        agent_id="writer",
        cli_type="claude-code",
        prompt="Draft the release notes of this week.",
        answer="Drafted: three features, eleven fixes.",
    ),
    Member(
        agent_id="editor",
        cli_type="claude-code",
        prompt="Shorten the README's introduction.",
        answer="Cut from nine sentences to four.",
    ),
    Member(
        agent_id="researcher",
        cli_type="claude-code",
        prompt="Which of our dependencies have new releases?",
        answer="Four have, and none breaks anything.",
    ),
    Member(
        agent_id="reviewer",
        cli_type="codex",
        prompt="Review the latest pull request.",
        answer="Two remarks, nothing that blocks.",
    ),
    Member(
        agent_id="tester",
        cli_type="codex",
        prompt="Find the flaky test.",
        answer="It was a race in the fixture, now fixed.",
    ),
    Member(
        agent_id="translator",
        cli_type="gemini",
        prompt="Translate the new error messages.",
        answer="Translated into five languages.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Agents of several CLI types, all of them scripted, each CLI type with a login of its own."""

    home: Path
    members: Sequence[Member] = MEMBERS

    @property
    def cli_types(self) -> list[str]:
        """In the order in which they first appear."""
        return list(dict.fromkeys(member.cli_type for member in self.members))

    def of(self, cli_type: str) -> list[str]:
        """The ids of the agents that are configured with a CLI type."""
        return [member.agent_id for member in self.members if member.cli_type == cli_type]

    def login(self, cli_type: str) -> Path:
        """The file that stands for a CLI type's login."""
        return self.home / "logins" / cli_type

    def set_login(self, cli_type: str, word: str) -> None:
        """Change a login in one step: an agent that starts meanwhile reads the old word or the new one."""
        file = self.login(cli_type)
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(".new")
        fresh.write_text(f"{word}\n", encoding="utf-8")
        fresh.replace(file)

    def renew(self, cli_type: str) -> None:
        """Log a CLI type in."""
        self.set_login(cli_type, "valid")

    def expire(self, cli_type: str) -> None:
        """End the login: every prompt of this CLI type fails from now on as a real CLI's does."""
        self.set_login(cli_type, EXPIRED)

    def configuration(self, *, pagerduty_url: str) -> str:
        """The ``kokino.toml`` of the fleet; strings are written as JSON, which TOML reads alike."""
        # The story is told by executions alone: that a login has expired, the doctor would say before them.
        lines = ["[doctor]", "at_start = false", 'every = "7d"']
        for cli_type in self.cli_types:
            login = json.dumps(str(self.login(cli_type)))
            lines += [f"[cli_types.{cli_type}]", 'driver = "scripted"']
            lines += [f"env = {{ KOKINO_SCRIPTED_LOGIN = {login} }}"]
        for member in self.members:
            lines += ["[[agents]]", f"id = {json.dumps(member.agent_id)}"]
            lines += [f"cli_type = {json.dumps(member.cli_type)}", 'cwd = "."']
        lines += [
            "[receivers.oncall]",
            'type = "pagerduty"',
            f"url = {json.dumps(pagerduty_url)}",
            f'routing_key_env = "{ROUTING_KEY_ENV}"',
            "[receivers.headless]",
            'type = "slack"',
            f'webhook_url_env = "{WEBHOOK_ENV}"',
            'channel = "#headless-alerts"',
            '[owners."@backend-team"]',
            'receivers = ["oncall", "headless"]',
        ]
        return "\n".join(lines) + "\n"


class Load:
    """People who ask every agent something, rest, and ask again: by HTTP, whatever the answers are.

    Whether an answer was good is the broker's to say: nothing is counted here.
    """

    def __init__(self, fleet: Fleet, http: httpx.AsyncClient, clock: Clock, *, seed: int = 1) -> None:
        self._fleet = fleet
        self._http = http
        self._clock = clock
        self._random = random.Random(seed)  # noqa: S311 - spreads the load, guards nothing
        self._tasks = Tasks()

    def start(self) -> None:
        """Begin to ask."""
        for member in self._fleet.members:
            self._tasks.start(self._ask_again_and_again(member), name=f"load of {member.agent_id}")

    async def stop(self) -> None:
        """Hang up; what runs at the broker goes on without a caller."""
        await self._tasks.stop()

    async def _ask_again_and_again(self, member: Member) -> None:
        await self._rest(least=timedelta(0))
        while True:
            # A caller whose connection breaks comes again; what became of the prompt is the broker's to say.
            with contextlib.suppress(httpx.HTTPError):
                await self._http.post(
                    f"/agents/{member.agent_id}/execute", json=request(member), timeout=PATIENCE
                )
            await self._rest(least=REST[0])

    async def _rest(self, *, least: timedelta) -> None:
        length = least + (REST[1] - least) * self._random.random()
        await self._clock.sleep_until(self._clock.now() + length)


def request(member: Member) -> Mapping[str, str]:
    """The body that asks a member its question; the script makes it take a while, in real time."""
    return {"prompt": f"{member.prompt}\nscript: think 150ms; emit {member.answer}"}
