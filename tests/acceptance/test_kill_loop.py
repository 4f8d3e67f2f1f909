"""Brokers and wardens killed at random moments under load: nothing is left, lost, doubled or overlaps.

`make test` does 12 rounds, `make test-nightly` 200.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

from kokino.clock import SystemClock, to_ms
from kokino.process import tree
from kokino.process.spawn import EXECUTION_VARIABLE
from tests.acceptance.serving import Served, processes_of, serving, until
from tests.sleepers import a_length, sleepers

ROUNDS = int(os.environ.get("KOKINO_KILL_ROUNDS", "12"))
#: Enough that a kill hits several at work; the nightly form has more.
AGENTS = 10 if ROUNDS <= 12 else 20
#: Another seed, other moments; a run that fails tells its own.
SEED = int(os.environ.get("KOKINO_KILL_SEED", str(random.SystemRandom().randrange(2**32))))
#: Of double-forked daemons, in seconds.
DAEMON = a_length()
LINES = 20
#: In so many rounds at the end nothing is queued behind what runs.
CALM = 3
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
#: Between two looks at the machine's processes, in seconds.
LOOK_AGAIN = 0.03
#: A process finds its execution in its environment from its exec on, which comes soon after its start.
YOUNG = 2.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
ONE_TICK = 1 / TICKS_PER_SECOND
ENDS = {"completed", "failed", "timeout", "cancelled", "refused", "lost"}


@dataclass(frozen=True, kw_only=True)
class Kill:
    """One kill, by the clock that the broker writes its times by."""

    #: ``broker``, ``warden`` or ``both``.
    choice: str
    #: Before and after the signals were sent, in milliseconds since 1970.
    since: int
    until: int

    def hit(self, row: dict[str, Any]) -> bool:
        """True for an execution that ran at that moment."""
        if row["started_at"] is None:
            return False
        return bool(row["started_at"] <= self.until and self.since <= row["ended_at"])


def test_whatever_is_killed_every_execution_comes_to_one_end(tmp_path: Path) -> None:
    """No orphan, none without an end, no overlap; what its warden outlived completes, with each line once."""
    print(f"seed {SEED}")  # noqa: T201 - shown when it fails
    dice = random.Random(SEED)
    accepted: set[str] = set()
    kills: list[Kill] = []
    with serving(tmp_path / "home", TOML) as broker:
        with watching() as watch:
            for turn in range(ROUNDS):
                accepted |= load(broker, dice, turn)
                time.sleep(dice.uniform(0.1, 1.0))
                kills.append(kill_something(broker, dice))
            until(lambda: unfinished(broker) == 0)
        assert processes_of(accepted) == []
        assert sleepers(DAEMON) == []
        assert [one for one in broker.get("/agents/sessions/status") if one["locked"]] == []
    rows = executions_in(broker.home)
    adopted = [
        row
        for row in rows
        if row["state"] == "completed" and outlived(row, kills) and any(kill.hit(row) for kill in kills)
    ]
    choices = Counter(kill.choice for kill in kills)
    told = (
        f"seed {SEED}, {choices}, {Counter(row['state'] for row in rows)}, {len(adopted)} adopted to the end"
    )
    print(told)  # noqa: T201 - the nightly form is read by a person
    assert {row["execution_id"] for row in rows} >= accepted, told
    assert {row["state"] for row in rows} <= ENDS, told
    assert cut_short(rows, kills) == [], told
    assert overlaps(rows) == [], told
    assert living_overlaps(watch.lives, rows) == [], told
    assert broken_streams(broker.home, rows) == [], told
    # Otherwise it showed nothing.
    assert sum(row["state"] == "completed" for row in rows) > ROUNDS, told
    assert watch.lives.keys() >= {row["execution_id"] for row in adopted}, told
    assert adopted, told


def load(broker: Served, dice: random.Random, turn: int) -> set[str]:
    """Give every agent something to do, unless it has enough; what was accepted."""
    accepted = set()
    is_late = turn >= ROUNDS - CALM  # what waits at the end only takes time: nothing is killed any more
    idle = [
        one["agentId"]
        for one in broker.get("/agents/sessions/status")
        if not one["queueLength"] and not (is_late and one["executing"])
    ]
    for agent in idle:
        answer = broker.http.post(
            f"/agents/{agent}/execute",
            json={"prompt": dice.choice(PROMPTS), "metadata": {"turn": turn}},
            headers={"Prefer": "respond-async"},
        )
        assert answer.status_code == 202, answer.text
        accepted.add(answer.json()["executionId"])
    return accepted


def kill_something(broker: Served, dice: random.Random) -> Kill:
    """SIGKILL to the broker, its warden, or both; returns when another one serves."""
    choice = dice.choice(("broker", "broker", "warden", "both"))
    warden = psutil.Process(broker.get("/api/about")["wardenPid"])
    since = now_ms()
    if choice in {"warden", "both"}:
        warden.send_signal(signal.SIGKILL)
    if choice in {"broker", "both"}:
        broker.end(signal.SIGKILL)
    kill = Kill(choice=choice, since=since, until=now_ms() + 1)
    if choice in {"broker", "both"}:
        broker.start()
    until(lambda: broker.http.get("/readyz").status_code == 200)
    return kill


def now_ms() -> int:
    """The time as the database has it."""
    return to_ms(SystemClock().now())


def outlived(row: dict[str, Any], kills: list[Kill]) -> bool:
    """True for an execution whose wardens all lived until its end."""
    return not any(kill.hit(row) for kill in kills if kill.choice != "broker")


def cut_short(rows: list[dict[str, Any]], kills: list[Kill]) -> list[str]:
    """Executions that ran and did not complete, though no kill of a warden excuses it.

    So much that is lost fires an alert, whose playbook may reset the session of an agent that lost most: what
    that one runs is cancelled.
    """
    return [
        f"{row['execution_id']} ({row['prompt']}): {row['state']}, {row['error']}"
        for row in rows
        if row["started_at"] is not None
        and row["state"] != "completed"
        and row["cancel_requested_at"] is None
        and outlived(row, kills)
    ]


@dataclass
class Life:
    """The processes of one execution, as they were seen; in seconds since boot."""

    born: float
    #: The last moment at which one of them was surely alive.
    seen: float


class Watch(threading.Thread):
    """Looks at the machine's processes again and again, whatever brokers and their databases say."""

    def __init__(self) -> None:
        super().__init__(name="watch")
        self.lives: dict[str, Life] = {}
        self.is_over = threading.Event()
        #: Executions by pid and start of their processes, and by the pid of keepers and others with children.
        self._owners: dict[tuple[int, int], str] = {}
        self._parents: dict[int, str] = {}

    def run(self) -> None:
        """Look until it is over."""
        while not self.is_over.wait(LOOK_AGAIN):
            self._look()

    def _look(self) -> None:
        now = time.clock_gettime(time.CLOCK_BOOTTIME)  # before the look: who is seen was alive then or later
        for stat in tree.all_processes():
            execution = self._owner(stat, now) if stat.is_alive else None
            if execution is not None:
                born = stat.started_at_ticks / TICKS_PER_SECOND
                life = self.lives.setdefault(execution, Life(born, born))
                life.born, life.seen = min(life.born, born), max(life.seen, now)

    def _owner(self, stat: tree.Stat, now: float) -> str | None:
        """By its environment; a daemon's is empty, but its parent is a keeper."""
        known = (stat.pid, stat.started_at_ticks)
        if stat.started_at_ticks / TICKS_PER_SECOND > now - YOUNG:
            told = told_execution(stat.pid)
            if told is not None:
                self._owners[known] = self._parents[stat.pid] = self._parents[stat.parent] = told
        return self._owners.get(known) or self._parents.get(stat.parent)


def told_execution(pid: int) -> str | None:
    """The execution that a process finds in its environment."""
    mark = f"{EXECUTION_VARIABLE}=".encode()
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None
    found = [value for value in environment.split(b"\0") if value.startswith(mark)]
    return found[0].removeprefix(mark).decode() if found else None


@contextmanager
def watching() -> Iterator[Watch]:
    """Somebody looks at the processes inside the block."""
    watch = Watch()
    watch.start()
    try:
        yield watch
    finally:
        watch.is_over.set()
        watch.join()


def living_overlaps(lives: dict[str, Life], rows: list[dict[str, Any]]) -> list[str]:
    """Executions that began to live while a process of an earlier one of their agent did."""
    found = []
    for agent in {row["agent_id"] for row in rows}:
        own = [
            row["execution_id"] for row in rows if row["agent_id"] == agent and row["execution_id"] in lives
        ]
        own.sort(key=lambda one: lives[one].born)
        for number, id in enumerate(own):
            late = [earlier for earlier in own[:number] if lives[earlier].seen > lives[id].born + ONE_TICK]
            found += [f"{earlier} lived when {id} was born" for earlier in late]
    return found


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
