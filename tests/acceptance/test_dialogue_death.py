"""A broker that dies while it speaks with agents: what it spoke with ends, and everybody is told so."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

from kokino.testing import scripted_acp_agent
from tests.acceptance.serving import Served, processes_of, serving, until
from tests.sleepers import a_length, sleepers

COMMAND = json.dumps([sys.executable, "-I", "-S", str(Path(str(scripted_acp_agent.__file__)))])
#: Of a double-forked daemon, in seconds.
DAEMON = a_length()
#: Each by the record that shows it at work.
WORK = {
    "goes": ("ask emit I may", "request_permission"),
    "busy": ("emit begun; tool sleep 600s", "tool_call"),
    "deaf": (f"deaf; ignore SIGTERM; double-fork {DAEMON}s; emit begun; hang", "begun"),
    "done": ("deaf; emit done", "end_turn"),
}


def fleet() -> str:
    """A configuration with an agent for each kind of work."""
    cli_type = f'[process]\nhold = "60s"\n[cli_types.spoken]\ndriver = "acp"\ncommand = {COMMAND}\n'
    agents = "".join(
        f'[[agents]]\nid = "{agent}"\ncli_type = "spoken"\ncwd = "."\n'
        f'limits = {{ grace = "{"60s" if agent == "done" else "300ms"}" }}\n'
        for agent in WORK
    )
    return cli_type + agents


def test_a_dialogue_ends_with_its_broker_and_says_so(tmp_path: Path) -> None:
    """Agents go at the end of their input or are ended; only an answer that had come by then counts."""
    with serving(tmp_path / "home", fleet()) as broker:
        executions = {
            agent: broker.accept(agent, f"Work.\nscript: {script}") for agent, (script, _) in WORK.items()
        }
        for agent, (_, mark) in WORK.items():
            until(lambda agent=agent, mark=mark: mark in written(broker, agent))  # type: ignore[misc]
        until(lambda: broker.get(f"/executions/{executions['goes']}")["waiting"] is not None)

        broker.end(signal.SIGKILL)
        broker.start()

        ends = {agent: broker.ended(execution) for agent, execution in executions.items()}
        for agent in ("goes", "busy", "deaf"):
            assert (ends[agent]["state"], ends[agent]["kind"]) == ("lost", "lost"), ends[agent]
            assert "a dialogue by the Agent Client Protocol ends with its broker" in ends[agent]["error"]
            assert ends[agent]["waiting"] is None
        assert ends["deaf"]["content"] == "begun"
        assert (ends["done"]["state"], ends["done"]["content"]) == ("completed", "done")
        assert processes_of(set(executions.values())) == []
        assert sleepers(DAEMON) == []
        assert [one for one in broker.get("/agents/sessions/status") if one["locked"]] == []
        assert broker.execute("goes").status_code == 200


def written(broker: Served, agent: str) -> str:
    """What its agent has written so far."""
    lines: list[dict[str, Any]] = broker.get(f"/agents/{agent}/logs?lines=1000")["lines"]
    return "\n".join(line["body"] for line in lines)
