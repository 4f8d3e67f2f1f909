"""Brokers and wardens killed at random moments under load: nothing is left, lost, doubled or overlaps.

`make test` does 20 rounds, `make test-nightly` 200.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

from tests.acceptance.serving import Served, processes_of, processes_with, serving, until

ROUNDS = int(os.environ.get("KOKINO_KILL_ROUNDS", "20"))
AGENTS = 20
#: Another seed, other moments; a run that fails tells its own.
SEED = int(os.environ.get("KOKINO_KILL_SEED", str(random.SystemRandom().randrange(2**32))))
#: Of double-forked daemons: nothing else of this machine sleeps for exactly so long, in seconds.
DAEMON = "86409"
LINES = 20
PROMPTS = (
    f"script: stream {LINES} lines every 80ms",
    f"script: ignore SIGTERM; stream {LINES} lines every 60ms",
    f"script: double-fork {DAEMON}s; stream {LINES} lines every 50ms",
    f"script: stream {LINES} lines every 20ms; tool sleep 500ms",
    "Say hello.",
)
TOML = '[process]\nhold = "60s"\n' + "".join(
    f'[[agents]]\nid = "agent-{number}"\ncli_type = "scripted"\ncwd = "."\nlimits = {{ grace = "200ms" }}\n'
    for number in range(AGENTS)
)
ENDS = {"completed", "failed", "timeout", "cancelled", "refused", "lost"}


def test_whatever_is_killed_every_execution_comes_to_one_end(tmp_path: Path) -> None:
    """No orphan, none without an end, no overlap, and no line lost or doubled among those that completed."""
    print(f"seed {SEED}")  # noqa: T201 - shown when it fails
    dice = random.Random(SEED)
    accepted: set[str] = set()
    adopted = 0
    with serving(tmp_path / "home", TOML) as broker:
        for turn in range(ROUNDS):
            accepted |= load(broker, dice, turn)
            time.sleep(dice.uniform(0.1, 1.0))
            adopted += kill_something(broker, dice)
        until(lambda: unfinished(broker) == 0)
        assert processes_of(accepted) == []
        assert processes_with(f"time.sleep({DAEMON}") == []
        assert [one for one in broker.get("/agents/sessions/status") if one["locked"]] == []
    rows = executions_in(broker.home)
    told = f"seed {SEED}, {ROUNDS} rounds, {adopted} adopted, {Counter(row['state'] for row in rows)}"
    assert {row["execution_id"] for row in rows} >= accepted, told
    assert {row["state"] for row in rows} <= ENDS, told
    assert overlaps(rows) == [], told
    assert broken_streams(broker.home, rows) == [], told
    # Otherwise it showed nothing.
    assert sum(row["state"] == "completed" for row in rows) > ROUNDS, told
    print(told)  # noqa: T201 - the nightly form is read by a person


def load(broker: Served, dice: random.Random, turn: int) -> set[str]:
    """Give every agent something to do, unless it has enough; what was accepted."""
    accepted = set()
    idle = [one["agentId"] for one in broker.get("/agents/sessions/status") if not one["queueLength"]]
    for agent in idle:
        answer = broker.http.post(
            f"/agents/{agent}/execute",
            json={"prompt": dice.choice(PROMPTS), "metadata": {"turn": turn}},
            headers={"Prefer": "respond-async"},
        )
        assert answer.status_code == 202, answer.text
        accepted.add(answer.json()["executionId"])
    return accepted


def kill_something(broker: Served, dice: random.Random) -> int:
    """SIGKILL to the broker, its warden, or both; returns how many executions a new broker took over."""
    choice = dice.choice(("broker", "broker", "warden", "both"))
    running = len(broker.get("/executions?state=running&limit=100")["items"])
    warden = broker.get("/api/about")["wardenPid"]
    if choice in {"warden", "both"}:
        psutil.Process(warden).send_signal(signal.SIGKILL)
    if choice in {"broker", "both"}:
        broker.end(signal.SIGKILL)
        broker.start()
        return running if choice == "broker" else 0
    until(lambda: broker.http.get("/readyz").status_code == 200)
    return 0


def unfinished(broker: Served) -> int:
    """How many executions have no end yet."""
    return sum(
        len(broker.get(f"/executions?state={state}&limit=500")["items"]) for state in ("queued", "running")
    )


def executions_in(home: Path) -> list[dict[str, Any]]:
    """Every execution as it stands in the database, in order of acceptance."""
    with closing(sqlite3.connect(home / "broker" / "data" / "kokino.db")) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute("SELECT * FROM executions ORDER BY number")]


def overlaps(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Pairs of executions of one agent that ran at the same time."""
    found = []
    for agent in {row["agent_id"] for row in rows}:
        own = sorted(
            (row for row in rows if row["agent_id"] == agent and row["started_at"] is not None),
            key=lambda row: row["started_at"],
        )
        found += [
            (first["execution_id"], second["execution_id"])
            for first, second in pairwise(own)
            if second["started_at"] < first["ended_at"]
        ]
    return found


def broken_streams(home: Path, rows: list[dict[str, Any]]) -> list[str]:
    """Completed executions whose records have a gap, or whose text has a line too few or too many."""
    broken = []
    with closing(sqlite3.connect(home / "broker" / "data" / "kokino.db")) as db:
        for row in (row for row in rows if row["state"] == "completed"):
            records = db.execute(
                "SELECT number, stream, body FROM records WHERE execution_id = ? ORDER BY number",
                (row["execution_id"],),
            ).fetchall()
            numbers = [number for number, _, _ in records]
            said = [text for _, stream, body in records if stream == "stdout" for text in texts(body)]
            streamed = [text for text in said if text.startswith("line ")]
            wanted = [f"line {number + 1}" for number in range(LINES)] if "stream" in row["prompt"] else []
            if numbers != list(range(1, len(numbers) + 1)) or streamed != wanted:
                broken.append(f"{row['execution_id']} ({row['prompt']}): {numbers} {said}")
    return broken


def texts(body: str) -> list[str]:
    """What the agent said in a record."""
    record = json.loads(body)
    if record["type"] != "assistant":
        return []
    return [block["text"] for block in record["message"]["content"] if block["type"] == "text"]
