"""Whatever ends the broker: nothing runs on unseen, nothing that was accepted is forgotten."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from tests.acceptance.serving import Served, processes_of, serving, until
from tests.sleepers import a_length, sleepers

#: Of double-forked daemons, in seconds.
DAEMONS = (a_length(), a_length())
PROMPTS = (
    *("script: stream 6000 lines every 100ms" for _ in range(3)),
    *("script: tool sleep 600s" for _ in range(3)),
    *("script: ignore SIGTERM; stream 6000 lines every 100ms" for _ in range(2)),
    *(f"script: double-fork {seconds}s; emit forked; hang" for seconds in DAEMONS),
)


def fleet(count: int, *, hold: str, drain: str = "20s", grace: str = "5s") -> str:
    """A configuration with `count` scripted agents, named ``agent-0`` and so on."""
    limits = f'limits = {{ grace = "{grace}" }}'
    agents = "".join(
        f'[[agents]]\nid = "agent-{number}"\ncli_type = "scripted"\ncwd = "."\n{limits}\n'
        for number in range(count)
    )
    return f'[server]\ndrain = "{drain}"\n[process]\nhold = "{hold}"\n{agents}'


def test_after_a_sigkill_nothing_of_ten_executions_is_left_alive(tmp_path: Path) -> None:
    """Deaf, detached or busy: all end after the hold, and the next broker knows an end of each."""
    with serving(tmp_path / "home", fleet(len(PROMPTS), hold="1s")) as broker:
        executions = [broker.accept(f"agent-{number}", prompt) for number, prompt in enumerate(PROMPTS)]
        until(lambda: all(is_at_work(broker, execution) for execution in executions))
        mine = processes_of(set(executions))
        daemons = [process for seconds in DAEMONS for process in sleepers(seconds)]
        keepers = [process.parent() for process in mine]
        assert len(executions) <= len(mine)
        assert len(daemons) == len(DAEMONS)

        broker.end(signal.SIGKILL)

        # A psutil.Process is a pid with its start time: a pid that was given anew is not it.
        watched = [*mine, *daemons, *filter(None, keepers)]
        until(lambda: not any(process.is_running() for process in watched))
        assert processes_of(set(executions)) == []
        assert [process for seconds in DAEMONS for process in sleepers(seconds)] == []

        broker.start()
        for number, execution in enumerate(executions):
            ended = broker.ended(execution)
            assert ended["state"] == "lost", ended
            assert ended["error"]
            assert broker.execute(f"agent-{number}").status_code == 200
        status = broker.get("/agents/sessions/status")
        assert len(status) == len(PROMPTS)
        assert [agent for agent in status if agent["locked"]] == []
        assert broker.get("/executions?state=running")["items"] == []


def test_a_broker_that_is_back_within_the_hold_goes_on_where_the_last_one_was(tmp_path: Path) -> None:
    """What ran is adopted: no record is lost, none comes twice, and each execution completes."""
    lines = 40
    with serving(tmp_path / "home", fleet(3, hold="60s")) as broker:
        prompt = f"script: stream {lines} lines every 100ms"
        executions = [broker.accept(f"agent-{number}", prompt) for number in range(3)]
        until(lambda: all(len(records(broker, execution)) > 3 for execution in executions))
        pids = {process.pid for process in processes_of(set(executions))}

        broker.end(signal.SIGKILL)
        assert {process.pid for process in processes_of(set(executions))} == pids
        broker.start()

        for execution in executions:
            assert broker.ended(execution)["state"] == "completed"
            found = records(broker, execution)
            assert [record["number"] for record in found] == list(range(1, len(found) + 1))
            assert said(found) == [f"line {number}" for number in range(1, lines + 1)]


def test_sigterm_lets_executions_end_and_accepts_no_new_ones(tmp_path: Path) -> None:
    """A stop waits for what runs; what waits in a queue is durable and runs after the next start."""
    with serving(tmp_path / "home", fleet(2, hold="1s", drain="60s")) as broker:
        running = broker.accept("agent-0", "script: stream 30 lines every 100ms")
        until(lambda: len(records(broker, running)) > 1)
        queued = broker.accept("agent-0", "Say hello.")

        broker.send(signal.SIGTERM)
        accepted: list[str] = [queued]
        until(lambda: is_refused(broker, accepted))
        assert broker.wait() == 0

        broker.start()
        assert broker.get(f"/executions/{running}")["state"] == "completed"
        assert len(said(records(broker, running))) == 30
        assert [broker.ended(execution)["state"] for execution in accepted] == ["completed"] * len(accepted)


def test_sigint_stops_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C does not wait for work: every tree is ended, every end is written."""
    with serving(tmp_path / "home", fleet(2, hold="60s", grace="200ms")) as broker:
        prompts = ("script: ignore SIGTERM; hang", f"script: double-fork {DAEMONS[0]}s; emit forked; hang")
        executions = [broker.accept(f"agent-{number}", prompt) for number, prompt in enumerate(prompts)]
        until(lambda: len(sleepers(DAEMONS[0])) == 1)
        until(lambda: len(processes_of(set(executions))) == 2)

        assert broker.end(signal.SIGINT) == 0

        assert processes_of(set(executions)) == []
        assert sleepers(DAEMONS[0]) == []
        broker.start()
        ends = [broker.get(f"/executions/{execution}") for execution in executions]
        assert [(end["state"], end["error"]) for end in ends] == [
            ("cancelled", "the broker was stopped before it ended")
        ] * 2


def is_at_work(broker: Served, execution: str) -> bool:
    """True once its CLI has written more than its first record, or has a tool that runs."""
    return len(records(broker, execution)) > 1


def is_refused(broker: Served, accepted: list[str]) -> bool:
    """True once a new execution is refused; one that came too early to be is noted in `accepted`."""
    answer = broker.http.post(
        "/agents/agent-1/execute", json={"prompt": "Hello."}, headers={"Prefer": "respond-async"}
    )
    if answer.status_code == 202:
        accepted.append(answer.json()["executionId"])
        return False
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert "stopping" in answer.json()["detail"]
    return True


def records(broker: Served, execution: str) -> list[Any]:
    """What its CLI has written so far, by way of its agent's log."""
    agent = broker.get(f"/executions/{execution}")["agentId"]
    lines = broker.get(f"/agents/{agent}/logs?lines=10000")["lines"]
    return [line for line in lines if line["executionId"] == execution]


def said(found: list[Any]) -> list[str]:
    """The texts of the agent, in order."""
    bodies = [json.loads(record["body"]) for record in found if record["stream"] == "stdout"]
    contents = [body["message"]["content"] for body in bodies if body["type"] == "assistant"]
    return [block["text"] for content in contents for block in content if block["type"] == "text"]
