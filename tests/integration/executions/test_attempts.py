"""Executions that take more than one process, and what they leave in a repository."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from kokino.errors import StorageError
from kokino.executions import notices, store, workshop
from kokino.executions.attempts.attempt import Attempt
from kokino.executions.changes import git as git_runs
from kokino.executions.stop import Stop
from kokino.testing.broker import TestBroker

PATIENCE = 60
TOML = """
[cli_types.quick]
driver = "scripted"
env = { KOKINO_SCRIPTED_HOME = "@/sessions", KOKINO_SCRIPT = "@/script" }
[[agents]]
id = "writer"
cli_type = "quick"
cwd = "work"
retries = { network = 2 }
limits = { grace = "100ms" }
"""


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[TestBroker]:
    """A broker with an agent that may try a broken network twice more."""
    home = tmp_path / "home"
    (home / "work").mkdir(parents=True)
    async with TestBroker(home, TOML.replace("@", str(home))) as started:
        yield started


def behave(box: TestBroker, directives: str) -> None:
    """From the next start on every turn does this."""
    draft = box.home / "draft"
    draft.write_text(directives, "utf-8")
    draft.rename(box.home / "script")


def git(folder: Path, *arguments: str, said: bytes = b"") -> None:
    """What a user does with git."""
    subprocess.run(["git", *arguments], cwd=folder, input=said, check=True, timeout=PATIENCE)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return once `condition` holds."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():
            await asyncio.sleep(0.01)


async def begun(box: TestBroker, prompt: str = "Say hello.") -> str:
    """An accepted execution."""
    answer = await box.http.post(
        "/agents/writer/execute", json={"prompt": prompt}, headers={"Prefer": "respond-async"}
    )
    return str(answer.json()["executionId"])


async def events(box: TestBroker, type: str) -> list[Any]:
    """The events of one type, newest first."""
    found: list[Any] = await box.get(f"/api/metrics/events?type={type}")
    return found


async def test_a_session_that_the_cli_has_forgotten_is_replaced_once(box: TestBroker) -> None:
    """The prompt gets its answer, in a new session of the same conversation."""
    first = (await box.execute("writer", "one")).json()
    for file in (box.home / "sessions").iterdir():
        file.unlink()

    second = (await box.execute("writer", "two")).json()

    assert second["success"]
    assert second["conversationId"] == first["conversationId"]
    assert second["metadata"]["sessionId"] != first["metadata"]["sessionId"]
    execution = await box.get(f"/executions/{second['executionId']}")
    assert execution["attempts"] == 2
    [event] = await events(box, "SESSION_REPLACED")
    assert "No conversation found" in event["message"]
    turns = (await box.get("/agents/writer/conversation"))["items"]
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * 2
    assert (await box.execute("writer", "three")).json()["metadata"]["sessionId"] == second["metadata"][
        "sessionId"
    ]


async def test_records_of_all_tries_are_one_stream(box: TestBroker) -> None:
    """Numbered on, so that a reader who was cut off goes on where it was."""
    await box.execute("writer", "one")
    for file in (box.home / "sessions").iterdir():
        file.unlink()
    second = (await box.execute("writer", "two")).json()
    lines = (await box.get("/agents/writer/logs?lines=100"))["lines"]
    own = [line for line in lines if line["executionId"] == second["executionId"]]
    assert [line["number"] for line in own] == list(range(1, len(own) + 1))
    assert {line["stream"] for line in own} == {"stdout", "stderr"}


@pytest.mark.parametrize("restarts", [1, 3])
async def test_tries_are_counted_across_restarts(box: TestBroker, restarts: int) -> None:
    """A broker that takes over in the pause between two tries counts the first, and counts it once."""
    behave(box, "fail network")
    execution = await begun(box)

    async def has_failed_once() -> bool:
        return len(await events(box, "EXECUTION_RETRIED")) == 1

    await until(has_failed_once)
    for _ in range(restarts):
        await box.settle()
        await box.restart()
    await box.fast_forward(minutes=2)
    ended = await box.get(f"/executions/{execution}")
    assert (ended["state"], ended["kind"], ended["attempts"]) == ("failed", "network", 3)
    assert len(await events(box, "EXECUTION_RETRIED")) == 2


async def test_a_try_that_was_taken_over_is_not_the_first(box: TestBroker) -> None:
    """One that was handed over while it ran counts with those before it."""
    behave(box, "fail network")
    execution = await begun(box)

    async def tries(number: int) -> bool:
        return bool((await box.get(f"/executions/{execution}"))["attempts"] == number)

    async def has_been_retried(times: int) -> bool:
        return len(await events(box, "EXECUTION_RETRIED")) == times

    await until(lambda: has_been_retried(1))
    await box.settle()
    behave(box, "think 500ms; fail network")
    box.clock.advance(seconds=5)
    await until(lambda: tries(2))
    await box.restart()
    await until(lambda: has_been_retried(2))
    await box.settle()
    behave(box, "fail network")
    await box.fast_forward(minutes=2)
    assert await tries(3)


async def test_a_database_that_is_away_for_a_moment_ends_nothing(
    box: TestBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was to be written is written later, and the CLI goes on."""
    failed: list[str] = []

    def fails_once(*arguments: Any, **more: Any) -> None:
        if not failed:
            failed.append("once")
            raise StorageError("the database is locked")
        tell_stuck(*arguments, **more)

    tell_stuck = notices.tell_stuck
    monkeypatch.setattr(notices, "tell_stuck", fails_once)
    monkeypatch.setattr(workshop, "AFTER_FAILURE", 0.0)
    behave(box, "emit up; hang")
    execution = await begun(box)

    async def is_up() -> bool:
        return "up" in str(await box.get("/agents/writer/logs"))

    await until(is_up)
    box.clock.advance(seconds=61)

    async def is_told() -> bool:
        return len(await events(box, "EXECUTION_STUCK")) == 1

    await until(is_told)
    assert failed
    assert (await box.get(f"/executions/{execution}"))["state"] == "running"


async def test_who_is_cancelled_while_the_repository_is_looked_at_is_not_started(tmp_path: Path) -> None:
    """And waits for no git."""
    home, programs = tmp_path / "home", tmp_path / "bin"
    (home / "work" / ".git").mkdir(parents=True)
    programs.mkdir()
    (programs / "git").write_text(f"#!/bin/sh\ntouch {tmp_path}/looking\nexec sleep 600\n", "utf-8")
    (programs / "git").chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    async with TestBroker(home, TOML.replace("@", str(home)), environment={"PATH": path}) as box:
        execution = await begun(box)

        async def is_looking() -> bool:
            return (tmp_path / "looking").exists()

        await until(is_looking)
        ended = await box.post(f"/executions/{execution}/cancel")
        assert (ended["state"], ended["attempts"]) == ("cancelled", 0)


async def test_a_broken_network_is_tried_again_after_a_pause(box: TestBroker) -> None:
    """Where the agent names the kind; the execution is one, and the caller hears of its end only."""
    behave(box, "fail network")
    execution = await begun(box)

    async def has_failed_once() -> bool:
        return len(await events(box, "EXECUTION_RETRIED")) == 1

    await until(has_failed_once)
    behave(box, "emit hello")
    assert (await box.get(f"/executions/{execution}"))["state"] == "running"
    await box.fast_forward(seconds=5)
    ended = await box.get(f"/executions/{execution}")
    assert (ended["state"], ended["content"], ended["attempts"]) == ("completed", "hello", 2)
    assert await events(box, "EXECUTION_FAILED") == []


async def test_the_silence_of_a_further_try_counts_from_its_own_start(box: TestBroker) -> None:
    """The idle deadline was over since the execution began, and the next try still has all of its time."""
    behave(box, "fail network")
    execution = await begun(box)

    async def has_failed_once() -> bool:
        return len(await events(box, "EXECUTION_RETRIED")) == 1

    await until(has_failed_once)
    behave(box, "think 500ms; emit hello")
    box.clock.advance(minutes=3)
    await box.settle()
    ended = await box.get(f"/executions/{execution}")
    assert (ended["state"], ended["content"], ended["attempts"]) == ("completed", "hello", 2)


async def test_tries_end_and_the_last_failure_is_told(box: TestBroker) -> None:
    """Two more, as configured."""
    behave(box, "fail network")
    execution = await begun(box)
    await box.fast_forward(minutes=1)
    ended = await box.get(f"/executions/{execution}")
    assert (ended["state"], ended["kind"], ended["attempts"]) == ("failed", "network", 3)


async def test_nothing_is_repeated_once_a_tool_has_run(box: TestBroker) -> None:
    """It may have changed something."""
    behave(box, "write report done; fail network")
    answer = await box.execute("writer")
    assert answer.json()["error"] == "network"
    assert answer.json()["execution"]["attempts"] == 1


async def test_a_cancel_between_two_tries_ends_it(box: TestBroker) -> None:
    """At once, and without another process."""
    behave(box, "fail network")
    execution = await begun(box)

    async def is_waiting() -> bool:
        return len(await events(box, "EXECUTION_RETRIED")) == 1

    await until(is_waiting)
    ended = await box.post(f"/executions/{execution}/cancel")
    assert (ended["state"], ended["attempts"]) == ("cancelled", 1)


async def test_a_cancel_that_its_broker_did_not_survive_is_carried_out_between_two_tries(
    box: TestBroker,
) -> None:
    """The next broker waits for no further try and starts none."""
    behave(box, "fail network")
    execution = await begun(box)

    async def is_waiting() -> bool:
        return len(await events(box, "EXECUTION_RETRIED")) == 1

    await until(is_waiting)
    await box.settle()
    now = box.clock.now()
    storage = box.broker.services.storage
    await storage.write(lambda conn: store.request_cancel(conn, execution, now=now))
    await box.restart()
    await box.settle()
    ended = await box.get(f"/executions/{execution}")
    assert (ended["state"], ended["attempts"]) == ("cancelled", 1)


async def test_an_interruption_at_the_end_of_a_pause_is_not_lost(
    box: TestBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last try is not settled yet, the next one not there: it holds for both."""
    settled = Attempt.settled

    async def cancelled_meanwhile(self: Attempt) -> None:
        box.broker.services.executions.runner.interrupt(self.execution.execution_id, Stop.CANCEL)
        await settled(self)

    behave(box, "fail network")
    execution = await begun(box)

    async def is_waiting() -> bool:
        return len(await events(box, "EXECUTION_RETRIED")) == 1

    await until(is_waiting)
    await box.settle()
    monkeypatch.setattr(Attempt, "settled", cancelled_meanwhile)
    behave(box, "emit hello")
    await box.fast_forward(minutes=1)
    ended = await box.get(f"/executions/{execution}")
    assert (ended["state"], ended["attempts"]) == ("cancelled", 1)


async def test_what_an_execution_changed_is_told_and_can_be_undone(box: TestBroker) -> None:
    """In a git repository; the patch of its diff, applied, takes it back."""
    work = box.home / "work"
    git(work, "init", "-q")
    behave(box, "write report done; fail auth")

    execution = (await box.execute("writer")).json()["execution"]

    assert execution["changes"]["files"] == [
        {"path": "report", "change": "added", "insertions": 1, "deletions": 0}
    ]
    undo = await box.http.get(f"/executions/{execution['executionId']}/diff?reverse=true")
    assert undo.headers["content-type"].startswith("text/x-diff")
    git(work, "apply", said=undo.content)
    assert not (work / "report").exists()


async def test_a_diff_that_is_too_long_is_refused_with_the_command_that_tells_it(
    box: TestBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything of it is in memory."""
    work = box.home / "work"
    git(work, "init", "-q")
    behave(box, "write report done")
    execution = (await box.execute("writer")).json()["executionId"]
    monkeypatch.setattr(git_runs, "LONGEST_ANSWER", 0)

    answer = await box.http.get(f"/executions/{execution}/diff")

    assert (answer.status_code, answer.json()["error"]) == (413, "too_large")
    objects = box.home / "broker" / "changes" / execution / "objects"
    command = f"GIT_ALTERNATE_OBJECT_DIRECTORIES={objects} git -C {work} diff-tree -r -p --binary"
    assert command in answer.json()["detail"]


async def test_an_execution_outside_of_a_repository_has_no_diff(box: TestBroker) -> None:
    """And it is said why."""
    execution = (await box.execute("writer")).json()["executionId"]
    answer = await box.http.get(f"/executions/{execution}/diff")
    assert answer.status_code == 409
    assert "it did not run in a git repository" in answer.json()["detail"]


async def test_an_agent_that_does_the_same_again_and_again_is_shown_as_stuck(box: TestBroker) -> None:
    """Its sessions' status says why, and an event is told once."""
    behave(box, "; ".join(["write report done"] * 6 + ["hang"]))
    execution = await begun(box)

    async def are_all_seen() -> bool:
        """It is stuck before the last of them."""
        return bool((await box.get("/agents/sessions/status"))[0]["repeatedCalls"] == 6)

    await until(are_all_seen)
    [status] = await box.get("/agents/sessions/status")
    assert "the same tool call" in status["stuck"]
    await box.post(f"/executions/{execution}/cancel")
    [event] = await events(box, "EXECUTION_STUCK")
    assert (event["executionId"], event["data"]["reason"]) == (execution, "repeats")


async def test_an_agent_that_waits_for_a_tool_shows_for_which(box: TestBroker) -> None:
    """And since when; after five minutes it counts as stuck."""
    behave(box, "tool sleep 600s")
    execution = await begun(box)

    async def is_in_tool() -> bool:
        return (await box.get("/agents/sessions/status"))[0]["tool"] is not None

    await until(is_in_tool)
    box.clock.advance(minutes=4, seconds=59)
    [status] = await box.get("/agents/sessions/status")
    assert (status["tool"], status["stuck"]) == ('Bash {"command": "sleep 600"}', None)
    assert status["toolForMs"] >= 299_000
    await box.post(f"/executions/{execution}/cancel")


async def test_a_tool_that_runs_across_a_restart_is_known_to_the_next_broker(box: TestBroker) -> None:
    """It runs as long as it has run, and is no silence of the agent's."""
    behave(box, "tool sleep 600s")
    execution = await begun(box)

    async def is_in_tool() -> bool:
        return (await box.get("/agents/sessions/status"))[0]["tool"] is not None

    await until(is_in_tool)
    box.clock.advance(seconds=30)
    await box.restart()
    await until(is_in_tool)
    box.clock.advance(seconds=61)
    [status] = await box.get("/agents/sessions/status")
    assert status["stuck"] is None
    assert status["toolForMs"] >= 91_000
    await box.post(f"/executions/{execution}/cancel")
    assert await events(box, "EXECUTION_STUCK") == []
