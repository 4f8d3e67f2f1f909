"""Sessions are shown and forgotten from the command line, and swept by the broker itself."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kokino.testing.broker import PATIENCE, TestBroker
from tests.acceptance.serving import KOKINO

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "cleanup-sessions"


async def later(broker: TestBroker, **length: float) -> None:
    """Let so much time be over at once: nothing is of interest that would be due in between."""
    broker.clock.move_to(broker.clock.now() + timedelta(**length))
    await broker.settle()


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[TestBroker]:
    """Three agents, each with a session that it used ten days ago; the writer used its again just now."""
    async with TestBroker(tmp_path / "home") as running:
        for agent in ("writer", "editor", "reviewer"):
            assert (await running.execute(agent)).status_code == 200
        await later(running, days=10)
        assert (await running.execute("writer")).status_code == 200
        yield running


def ran(broker: TestBroker, *arguments: str, answer: str = "", command: Path = KOKINO) -> Any:
    """A command that speaks to this broker, in a terminal of 80 columns, with what its user types."""
    environment = {**os.environ, "KOKINO_URL": broker.url, "COLUMNS": "80"}
    return asyncio.to_thread(
        subprocess.run,
        [str(command), *arguments],
        input=answer,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


async def agents(broker: TestBroker) -> list[str]:
    """Who has a session."""
    return [one["agentId"] for one in (await broker.get("/agents/sessions"))["items"]]


async def test_the_list_shows_every_session(broker: TestBroker) -> None:
    """The longest unused first, within 80 columns; as JSON with every field."""
    shown = await ran(broker, "sessions", "list")
    assert shown.returncode == 0, shown.stderr
    lines = shown.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines[2:5]] == ["editor", "reviewer", "writer"]
    assert "10 days ago" in lines[2]
    assert "just now" in lines[4]
    assert lines[-1].strip() == "3 sessions, 0 in use."
    told = json.loads((await ran(broker, "sessions", "list", "--agent", "writer", "--format", "json")).stdout)
    assert [(one["agentId"], one["turns"], one["inUse"]) for one in told] == [("writer", 4, False)]


async def test_nothing_is_forgotten_without_a_yes(broker: TestBroker) -> None:
    """Not in a dry run, not after a no, and not where nobody can be asked."""
    look = await ran(broker, "sessions", "cleanup", "--max-age", "7d", "--dry-run")
    assert look.returncode == 0
    assert "2 sessions not used for 7 days. 1 session kept." in look.stdout
    assert "Nothing was forgotten" in look.stdout
    assert max(map(len, look.stdout.splitlines())) <= 80
    refused = await ran(broker, "sessions", "cleanup", "--max-age", "7d", answer="n\n")
    assert (refused.returncode, "Nothing was forgotten." in refused.stdout) == (1, True)
    unasked = await ran(broker, "sessions", "cleanup", "--max-age", "7d")
    assert (unasked.returncode, "give --yes" in unasked.stderr) == (1, True)
    assert await agents(broker) == ["editor", "reviewer", "writer"]


async def test_a_yes_forgets_what_was_shown(broker: TestBroker) -> None:
    """And the agent's next execution starts a session of its own."""
    [before] = (await broker.get("/agents/sessions?agent=editor"))["items"]
    done = await ran(broker, "sessions", "cleanup", "--max-age", "7d", "--agent", "editor", answer="y\n")
    assert done.returncode == 0, done.stderr
    assert "1 session forgotten." in done.stdout
    assert await agents(broker) == ["reviewer", "writer"]
    assert (await broker.execute("editor")).status_code == 200
    [after] = (await broker.get("/agents/sessions?agent=editor"))["items"]
    assert after["sessionId"] != before["sessionId"]
    assert after["conversationId"] != before["conversationId"]
    assert len((await broker.get("/executions?agent=editor"))["items"]) == 2


async def test_the_script_of_a_checkout_does_the_same(broker: TestBroker) -> None:
    """Also when it is called by a link from elsewhere."""
    link = broker.home / "cleanup-sessions"
    link.symlink_to(SCRIPT)
    done = await ran(broker, "--max-age", "7d", "--yes", command=link)
    assert done.returncode == 0, done.stderr
    assert "2 sessions forgotten." in done.stdout
    assert await agents(broker) == ["writer"]


async def test_a_program_gets_json_and_is_never_asked(broker: TestBroker) -> None:
    """Whether something is forgotten, it says itself."""
    unsaid = await ran(broker, "sessions", "cleanup", "--format", "json", answer="y\n")
    assert (unsaid.returncode, "--dry-run" in unsaid.stderr) == (1, True)
    done = await ran(broker, "sessions", "cleanup", "--max-age", "7d", "--yes", "--format", "json")
    told = json.loads(done.stdout)
    assert [one["agentId"] for one in told["removed"]] == ["editor", "reviewer"]
    assert (told["kept"], told["dryRun"], told["maxAgeMs"]) == (1, False, 7 * 24 * 3_600_000)


async def test_a_wrong_age_or_agent_is_told_before_anything_happens(broker: TestBroker) -> None:
    """With what would be right."""
    age = await ran(broker, "sessions", "cleanup", "--max-age", "soon", "--yes")
    assert (age.returncode, '--max-age must be a length of time such as "30s"' in age.stderr) == (1, True)
    agent = await ran(broker, "sessions", "cleanup", "--agent", "nobody", "--yes")
    assert (agent.returncode, "there is no agent 'nobody'" in agent.stderr) == (1, True)
    twice = await broker.http.post("/agents/sessions/cleanup", json={"maxAge": "7d", "maxAgeMs": 1})
    assert twice.status_code == 422
    assert "not both" in twice.json()["detail"]
    assert len(await agents(broker)) == 3


async def test_a_list_of_sessions_is_answered_in_pages(broker: TestBroker) -> None:
    """Each begins behind the last one of the page before."""
    first = await broker.get("/agents/sessions?limit=2")
    rest = await broker.get(f"/agents/sessions?limit=2&cursor={first['nextCursor']}")
    assert [one["agentId"] for one in (*first["items"], *rest["items"])] == ["editor", "reviewer", "writer"]
    assert rest["nextCursor"] is None


async def test_the_broker_forgets_old_sessions_by_itself(broker: TestBroker) -> None:
    """After sessions.max_age, which is 30 days where nothing else is configured."""
    await later(broker, days=19, hours=23)
    assert len(await agents(broker)) == 3
    await later(broker, hours=2)
    assert await agents(broker) == ["writer"]
