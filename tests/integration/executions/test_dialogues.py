"""Agents that are spoken with, through a whole broker: sessions, permissions, and every end."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from kokino.testing import scripted_acp_agent
from kokino.testing.broker import TestBroker

#: Far longer than anything here takes, in real seconds.
PATIENCE = 60
COMMAND = json.dumps([sys.executable, "-I", "-S", str(Path(str(scripted_acp_agent.__file__)))])

#: An agent that answers up to the prompt, then asks for two megabytes of answers and reads none.
ASKS_ON = """
import json, sys, time
for result in ({"protocolVersion": 1}, {"sessionId": "s"}):
    id = json.loads(sys.stdin.readline())["id"]
    print(json.dumps({"jsonrpc": "2.0", "id": id, "result": result}), flush=True)
for _ in range(200):
    print('{"jsonrpc":"2.0","id":"%s","method":"fs/read_text_file"}' % ("x" * 10_000), flush=True)
time.sleep(600)
"""

TOML = f"""
[cli_types.spoken]
driver = "acp"
command = {COMMAND}
env = {{ KOKINO_SCRIPTED_HOME = "@/sessions", KOKINO_SCRIPTED_LOGIN = "@/login" }}
[cli_types.forgetful]
driver = "acp"
command = {COMMAND}
[[agents]]
id = "asks"
cli_type = "spoken"
cwd = "work"
limits = {{ grace = "300ms" }}
[[agents]]
id = "may"
cli_type = "spoken"
cwd = "work"
permissions = "allow"
model = "scripted-2"
[[agents]]
id = "mayn't"
cli_type = "spoken"
cwd = "work"
permissions = "reject"
[[agents]]
id = "forgets"
cli_type = "forgetful"
cwd = "work"
""".replace('"mayn\'t"', '"may-not"')


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[TestBroker]:
    """A broker with agents of each policy, whose login is good."""
    home = tmp_path / "home"
    (home / "work").mkdir(parents=True)
    (home / "login").touch()
    async with TestBroker(home, TOML.replace("@", str(home))) as box:
        yield box


def script(*directives: str) -> str:
    """A prompt that tells the scripted agent what to do."""
    return "\n".join(["Work.", *(f"script: {one}" for one in directives)])


async def until(condition: Callable[[], Awaitable[Any]]) -> Any:
    """What `condition` gives once that is something."""
    async with asyncio.timeout(PATIENCE):
        while not (found := await condition()):
            await asyncio.sleep(0.01)
    return found


async def begun(box: TestBroker, agent: str, *directives: str) -> str:
    """The id of an execution that has been accepted."""
    headers = {"Prefer": "respond-async"}
    answer = await box.http.post(
        f"/agents/{agent}/execute", json={"prompt": script(*directives)}, headers=headers
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["executionId"])


async def shown(box: TestBroker, execution: str) -> Any:
    """The execution as the API shows it."""
    return await box.get(f"/executions/{execution}")


async def waiting(box: TestBroker, execution: str) -> Any:
    """What it waits for, as soon as it does."""

    async def look() -> Any:
        return (await shown(box, execution))["waiting"]

    return await until(look)


async def ended(box: TestBroker, execution: str) -> Any:
    """The execution at its end."""

    async def look() -> Any:
        found = await shown(box, execution)
        return found if found["endedAt"] else None

    return await until(look)


async def has_written(box: TestBroker, execution: str, text: str) -> None:
    """Return once a record holds the text."""

    async def look() -> bool:
        agent = (await shown(box, execution))["agentId"]
        lines = (await box.get(f"/agents/{agent}/logs?lines=1000"))["lines"]
        return any(text in line["body"] for line in lines if line["executionId"] == execution)

    await until(look)


async def events(box: TestBroker, type: str) -> Any:
    """The events of that type, newest first."""
    return await box.get(f"/api/metrics/events?type={type}")


async def test_the_second_turn_goes_on_in_the_session_of_the_first(box: TestBroker) -> None:
    """It is loaded by the id that the agent gave it; each turn has an answer and a price of its own."""
    first = (await box.execute("may", "Remember heron.")).json()
    second = (await box.execute("may", "Which word?")).json()
    assert first["content"] == 'Thank you. In turn 1 you said "Remember heron.".'
    assert second["content"] == 'Thank you. In turn 2 you said "Which word?". Before that: "Remember heron.".'
    assert first["conversationId"] == second["conversationId"]
    assert await events(box, "SESSION_REPLACED") == []
    turns = await asyncio.gather(*(shown(box, turn["executionId"]) for turn in (first, second)))
    assert [turn["cliVersion"] for turn in turns] == [scripted_acp_agent.VERSION] * 2
    assert [turn["usage"]["inputTokens"] for turn in turns] == [4, 7]
    assert [turn["costUsd"] for turn in turns] == [pytest.approx(4 * 3e-6), pytest.approx(7 * 3e-6)]


async def test_an_agent_that_cannot_load_answers_in_a_new_session_and_that_is_told(box: TestBroker) -> None:
    """Nothing fails, and nobody believes that it remembers."""
    for _ in range(2):
        assert (await box.execute("forgets")).status_code == 200
    (event,) = await events(box, "SESSION_REPLACED")
    assert event["message"] == "the agent cannot load earlier sessions"


async def test_a_session_that_the_agent_has_lost_is_replaced_in_the_same_process(box: TestBroker) -> None:
    """One try is enough, for the agent is there to be asked for another session."""
    await box.execute("may")
    for file in (box.home / "sessions").iterdir():
        file.unlink()
    answer = (await box.execute("may", "Go on.")).json()
    assert answer["content"] == 'Thank you. In turn 1 you said "Go on.".'
    assert (await shown(box, answer["executionId"]))["attempts"] == 1
    (event,) = await events(box, "SESSION_REPLACED")
    assert "Resource not found" in event["message"]
    third = (await box.execute("may", "And on.")).json()
    assert third["content"].startswith("Thank you. In turn 2")


async def test_a_session_that_cannot_be_read_just_now_is_kept(box: TestBroker) -> None:
    """The execution fails, and once the session can be loaded again the next one goes on in it."""
    await box.execute("may", "Remember heron.")
    (memory,) = (box.home / "sessions").iterdir()
    kept = memory.read_bytes()
    memory.unlink()
    memory.mkdir()
    answer = (await box.execute("may", "Which word?")).json()
    assert answer["error"] == "unknown"
    assert "is kept, but could not be loaded" in answer["detail"]
    assert await events(box, "SESSION_REPLACED") == []
    memory.rmdir()
    memory.write_bytes(kept)
    answer = (await box.execute("may", "Which word?")).json()
    assert answer["content"].startswith('Thank you. In turn 2 you said "Which word?". Before that: "Remember')


@pytest.mark.parametrize(("agent", "exists"), [("may", True), ("may-not", False)])
async def test_a_policy_answers_at_once(box: TestBroker, agent: str, exists: bool) -> None:
    """Nobody is asked, and nothing waits."""
    answer = await box.execute(agent, script("ask write made.txt hello"))
    assert answer.status_code == 200
    assert (box.home / "work" / "made.txt").exists() == exists
    assert await events(box, "EXECUTION_WAITING") == []


async def test_the_model_is_chosen_by_the_protocol(box: TestBroker) -> None:
    """The agent tells its choice in its records."""
    execution = await begun(box, "may", "emit hi")
    assert (await ended(box, execution))["state"] == "completed"
    await has_written(box, execution, '"currentValue": "scripted-2"')


async def test_who_has_to_be_asked_is_waited_for_and_everybody_sees_it(box: TestBroker) -> None:
    """The execution, its agent's status and an event tell what is asked; the answer lets it go on."""
    execution = await begun(box, "asks", "ask write made.txt hello", "emit done")
    asked = await waiting(box, execution)
    assert asked["title"] == "write made.txt hello"
    assert [(option["id"], option["kind"]) for option in asked["options"]] == [
        ("yes", "allow_once"),
        ("always", "allow_always"),
        ("no", "reject_once"),
    ]
    (status,) = [one for one in await box.get("/agents/sessions/status") if one["agentId"] == "asks"]
    assert status["waiting"] == asked
    (event,) = await events(box, "EXECUTION_WAITING")
    assert (event["executionId"], event["message"]) == (execution, asked["title"])
    assert not (box.home / "work" / "made.txt").exists()

    answered = await box.post(f"/executions/{execution}/permission", optionId="yes", requestId=asked["id"])
    assert answered["waiting"] is None
    assert (await ended(box, execution))["content"] == "done"
    assert (box.home / "work" / "made.txt").read_text() == "hello\n"


async def test_a_rejected_permission_is_no_failure(box: TestBroker) -> None:
    """The agent goes on without it."""
    execution = await begun(box, "asks", "ask write made.txt hello")
    await waiting(box, execution)
    await box.post(f"/executions/{execution}/permission", optionId="no")
    end = await ended(box, execution)
    assert (end["state"], end["content"]) == ("completed", "I may not: write made.txt hello")


async def test_one_question_after_the_other_is_shown(box: TestBroker) -> None:
    """An answer that is meant for the first is not taken for the second."""
    execution = await begun(box, "asks", "ask emit one", "ask emit two")
    first = await waiting(box, execution)
    await box.post(f"/executions/{execution}/permission", optionId="yes", requestId=first["id"])

    async def next_one() -> Any:
        found = (await shown(box, execution))["waiting"]
        return found if found and found["title"] == "emit two" else None

    second = await until(next_one)
    late = {"optionId": "yes", "requestId": first["id"]}
    refused = await box.http.post(f"/executions/{execution}/permission", json=late)
    assert refused.status_code == 409
    assert "does not wait any more" in refused.json()["detail"]
    await box.post(f"/executions/{execution}/permission", optionId="yes", requestId=second["id"])
    assert (await ended(box, execution))["content"] == "one\ntwo"


async def test_an_answer_that_cannot_be_given_says_why(box: TestBroker) -> None:
    """Unknown, not waiting, over, not an option, not an answer at all: nothing of it changes anything."""
    execution = await begun(box, "asks", "emit begun", "ask emit yes", "hang")
    asked = await waiting(box, execution)

    async def refused(id: str, body: dict[str, Any]) -> tuple[int, str]:
        answer = await box.http.post(f"/executions/{id}/permission", json=body)
        return answer.status_code, answer.json()["detail"]

    status, said = await refused(execution, {"optionId": "maybe"})
    assert (status, said) == (422, "'maybe' is no option of this request; there are: yes, always, no")
    assert (await refused(execution, {}))[0] == 422
    assert (await refused("exec_none", {"optionId": "yes"}))[0] == 404
    assert (await shown(box, execution))["waiting"] == asked

    await box.post(f"/executions/{execution}/permission", optionId="yes")
    status, said = await refused(execution, {"optionId": "yes"})
    assert status == 409
    assert "waits for no permission" in said
    await box.post(f"/executions/{execution}/cancel")
    status, said = await refused(execution, {"optionId": "yes"})
    assert (status, said) == (409, f"execution '{execution}' is cancelled: it waits for no permission")


async def silent(box: TestBroker) -> str:
    """An execution of another agent that writes nothing more: by its end the same is due for all others."""
    execution = await begun(box, "may", "emit begun", "hang")
    await has_written(box, execution, "begun")
    return execution


async def test_no_idle_deadline_runs_while_a_person_thinks(box: TestBroker) -> None:
    """Nor is it stuck, as one is that is silent beside it; once answered, its silence counts from there."""
    execution = await begun(box, "asks", "ask emit I may", "hang")
    await waiting(box, execution)
    beside = await silent(box)
    box.clock.advance(seconds=70)
    stuck = await until(lambda: events(box, "EXECUTION_STUCK"))
    assert [event["executionId"] for event in stuck] == [beside]
    box.clock.advance(seconds=70)
    assert (await ended(box, beside))["kind"] == "idle_timeout"

    beside = await silent(box)
    box.clock.advance(seconds=30)
    await box.post(f"/executions/{execution}/permission", optionId="yes")
    await has_written(box, execution, "I may")
    box.clock.advance(seconds=100)
    assert (await ended(box, beside))["kind"] == "idle_timeout"
    # The first reason to end it counts: a deadline would have come before this.
    assert (await box.post(f"/executions/{execution}/cancel"))["state"] == "cancelled"


async def test_the_wall_deadline_runs_on_while_it_waits(box: TestBroker) -> None:
    """A question that nobody answers does not hold its agent for ever."""
    execution = await begun(box, "asks", "ask emit I may")
    await waiting(box, execution)
    box.clock.advance(minutes=5, seconds=1)
    end = await ended(box, execution)
    assert (end["state"], end["kind"], end["waiting"]) == ("timeout", "timeout", None)


@pytest.mark.parametrize(
    "directives",
    [("tool sleep 600s",), ("emit begun", "double-fork 600s", "hang"), ("deaf", "tool sleep 600s")],
)
async def test_cancelled_in_the_middle_it_leaves_nothing(
    box: TestBroker, directives: tuple[str, ...]
) -> None:
    """The agent is told and goes by itself, or is made to; its tools go with it."""
    execution = await begun(box, "asks", *directives)
    await has_written(box, execution, "session/update")
    started = box.broker.services.warden.running[execution]
    tree = psutil.Process(started.keeper_pid).children(recursive=True)
    assert tree
    end = await box.post(f"/executions/{execution}/cancel")
    assert (end["state"], end["kind"]) == ("cancelled", "cancelled")
    assert [process for process in tree if process.is_running()] == []


async def test_cancelled_while_it_waits_it_waits_no_more(box: TestBroker) -> None:
    """What was asked is answered as cancelled."""
    execution = await begun(box, "asks", "ask emit I may")
    await waiting(box, execution)
    end = await box.post(f"/executions/{execution}/cancel")
    assert (end["state"], end["waiting"]) == ("cancelled", None)


async def test_a_cancelled_agent_exits_by_itself(box: TestBroker) -> None:
    """No signal is needed for one that does as it is told."""
    execution = await begun(box, "asks", "emit begun", "hang")
    await has_written(box, execution, "begun")
    end = await box.post(f"/executions/{execution}/cancel")
    assert (end["state"], end["exitCode"], end["signal"]) == ("cancelled", 0, None)
    assert end["content"] == "begun"


async def test_an_agent_that_stays_after_its_answer_is_ended_and_its_work_counts(box: TestBroker) -> None:
    """It has its grace, as any CLI has after its last word."""
    execution = await begun(box, "asks", "deaf", "emit done")
    await has_written(box, execution, "end_turn")
    box.clock.advance(seconds=1)
    end = await ended(box, execution)
    assert (end["state"], end["content"]) == ("completed", "done")


async def test_a_prompt_far_larger_than_the_channel_arrives_whole(box: TestBroker) -> None:
    """Two megabytes pass through a FIFO of 64 kB without holding up anybody."""
    words = "heron " * 350_000
    answer = await box.execute("may", words)
    assert answer.status_code == 200, answer.text
    found = await shown(box, answer.json()["executionId"])
    assert found["usage"]["inputTokens"] == len(words) // 4


async def test_a_login_that_is_missing_is_told_with_what_to_do(box: TestBroker) -> None:
    """Kind auth, and whose work it is."""
    (box.home / "login").unlink()
    answer = (await box.execute("may")).json()
    assert answer["error"] == "auth"
    assert "log in by hand as the user that runs the broker" in answer["detail"]


async def test_an_agent_that_asks_without_reading_the_answers_is_ended(tmp_path: Path) -> None:
    """Its answers do not pile up in the broker: the execution fails as `protocol`, and says so."""
    (home := tmp_path / "home").mkdir()
    program = home / "agent.py"
    program.write_text(ASKS_ON)
    command = json.dumps([sys.executable, "-I", "-S", str(program)])
    toml = f'[cli_types.asks-on]\ndriver = "acp"\ncommand = {command}\n'
    toml += '[[agents]]\nid = "asks-on"\ncli_type = "asks-on"\ncwd = "."\n'
    async with TestBroker(home, toml) as box:
        execution = await begun(box, "asks-on", "emit hi")

        async def is_over() -> Any:
            box.clock.advance(seconds=1)
            return (found := await shown(box, execution))["endedAt"] and found

        end = await until(is_over)
    assert (end["state"], end["kind"]) == ("failed", "protocol")
    assert "without reading the answers" in end["error"]


async def test_a_command_that_is_not_there_leaves_no_channel_open(box: TestBroker) -> None:
    """Whatever an execution comes to, what was opened for it is closed."""
    await box.execute("may")

    def fifos() -> list[str]:
        links = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
        return [link for link in links if link.endswith(".stdin")]

    services = box.broker.services
    kind = services.cli_types["forgetful"]
    object.__setattr__(kind, "command", ("/nowhere/agent",))
    answer = (await box.execute("forgets")).json()
    assert answer["error"] == "cli_missing"
    assert fifos() == []
    assert list((box.home / "broker" / "spool").iterdir()) == []


async def test_a_stop_ends_a_dialogue_as_any_execution(tmp_path: Path) -> None:
    """It is cancelled by the broker, and the next broker finds its end."""
    home = tmp_path / "home"
    (home / "work").mkdir(parents=True)
    (home / "login").touch()
    box = TestBroker(home, TOML.replace("@", str(home)))
    async with box:
        execution = await begun(box, "asks", "ask emit I may")
        await waiting(box, execution)
    async with box:
        end = await shown(box, execution)
        assert (end["state"], end["error"]) == ("cancelled", "the broker was stopped before it ended")
        assert end["waiting"] is None
