"""A restart is a new broker in the same process: no execution, caller or connection is lost by it."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil

from kokino.config import FILE_NAME
from tests.acceptance.serving import KOKINO, PATIENCE, Served, processes_of, serving, until
from tests.integration.integrity.damage import tear_page

AGENTS = 4
LINES = 40
STREAM = f"script: stream {LINES} lines every 100ms"
#: It outlasts the test, however slow the machine is; somebody cancels it.
ENDLESS = "script: stream 100000 lines every 100ms"
ENDLESS_AGENTS = ("agent-0", "agent-1")
RESTARTS = 3


def fleet(more: str = "", *, agents: int = AGENTS) -> str:
    """A configuration with scripted agents, named ``agent-0`` and so on."""
    each = "".join(
        f'[[agents]]\nid = "agent-{number}"\ncli_type = "scripted"\ncwd = "."\n' for number in range(agents)
    )
    return f'[process]\nhold = "120s"\n{each}{more}'


def restart(broker: Served, *, succeeds: bool = True) -> str:
    """Run ``kokino restart``; what it said."""
    done = subprocess.run(
        [str(KOKINO), "restart", "--wait", "10m", "--url", str(broker.http.base_url).rstrip("/")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) is succeeds, done.stdout + done.stderr + broker.said
    return done.stdout if succeeds else done.stderr


@dataclass
class Hammer:
    """Somebody who asks again and again, each time on a new connection."""

    #: Host and port.
    address: str
    answers: int = 0
    failures: list[str] = field(default_factory=list)

    def go(self, stop: threading.Event) -> None:
        """Ask until told to stop, fifty times a second at the most: the broker needs this machine too."""
        while not stop.wait(0.02):
            connection = HTTPConnection(self.address, timeout=PATIENCE)
            try:
                connection.request("GET", "/health")
                status = connection.getresponse().status
            except (OSError, HTTPException) as error:
                self.failures.append(repr(error))
            else:
                self.answers += 1
                self.failures += [] if status == 200 else [str(status)]
            finally:
                connection.close()


@contextmanager
def hammering(broker: Served) -> Iterator[Hammer]:
    """Somebody hammers the broker inside the block."""
    hammer, stop = Hammer(broker.http.base_url.netloc.decode()), threading.Event()
    thread = threading.Thread(target=hammer.go, args=(stop,))
    thread.start()
    try:
        yield hammer
    finally:
        stop.set()
        thread.join()


def test_three_restarts_under_load_lose_nothing(tmp_path: Path) -> None:
    """Every execution ends with every line once, nobody is refused, and the process stays the same."""
    accepted: list[str] = []
    with serving(tmp_path / "home", fleet()) as broker, hammering(broker) as hammer:
        pid = broker.get("/api/about")["pid"]
        endless = [broker.accept(agent, ENDLESS) for agent in ENDLESS_AGENTS]
        for _ in range(RESTARTS):
            accepted += load(broker)
            answered = hammer.answers
            said = restart(broker)
            assert re.search(r"; [2-4] executions go on", said), said
            assert broker.get("/api/about")["pid"] == pid
            until(lambda before=answered: hammer.answers > before)  # type: ignore[misc]
        for execution in accepted:
            assert broker.ended(execution)["state"] == "completed"
            assert said_by(records(broker, execution)) == lines(LINES)
        for execution in endless:
            broker.http.post(f"/executions/{execution}/cancel")
            assert broker.ended(execution)["state"] == "cancelled"
            found = said_by(records(broker, execution))
            assert found == lines(len(found))
        assert len(broker.get("/executions?limit=1000")["items"]) == len(accepted) + len(endless)
        assert broker.process is not None
        assert (broker.process.pid, broker.process.poll()) == (pid, None)
    assert hammer.failures == []
    assert processes_of({*accepted, *endless}) == []


def load(broker: Served) -> list[str]:
    """Give each agent but the endless ones something to run, and something that waits; what was accepted."""
    status = [one for one in broker.get("/agents/sessions/status") if one["agentId"] not in ENDLESS_AGENTS]
    return [
        broker.accept(one["agentId"], STREAM)
        for one in status
        for _ in range(2 - one["executing"] - one["queueLength"])
    ]


def lines(count: int) -> list[str]:
    """What a stream of so many lines says."""
    return [f"line {number}" for number in range(1, count + 1)]


def records(broker: Served, execution: str) -> list[Any]:
    """All that its CLI wrote, by number; numbers have no gap and none comes twice."""
    found = [event["data"] for event in events(broker, execution) if event["event"] == "record"]
    assert [record["number"] for record in found] == list(range(1, len(found) + 1))
    return found


def events(broker: Served, execution: str, *, after: int | None = None) -> list[dict[str, Any]]:
    """The stream of an execution's records until it ends or is cut."""
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    found = []
    with broker.http.stream("GET", f"/executions/{execution}/events", headers=headers) as stream:
        fields: dict[str, Any] = {}
        for line in stream.iter_lines():
            if line.startswith(":"):
                continue
            if line:
                name, _, value = line.partition(": ")
                fields[name] = json.loads(value) if name == "data" else value
            elif fields:
                found.append(fields)
                fields = {}
    return found


def said_by(found: list[Any]) -> list[str]:
    """The texts of the agent, in order."""
    bodies = [json.loads(record["body"]) for record in found if record["stream"] == "stdout"]
    contents = [body["message"]["content"] for body in bodies if body["type"] == "assistant"]
    return [block["text"] for content in contents for block in content if block["type"] == "text"]


def test_a_caller_who_waits_is_told_and_comes_back_under_its_key(tmp_path: Path) -> None:
    """The answer names the execution; the same request gets the end of the same execution."""
    with serving(tmp_path / "home", fleet(agents=1)) as broker:
        answers: list[httpx.Response] = []

        def ask() -> None:
            headers = {"Idempotency-Key": "build-17"}
            answers.append(
                broker.http.post("/agents/agent-0/execute", json={"prompt": "script: hang"}, headers=headers)
            )

        caller = threading.Thread(target=ask)
        caller.start()
        until(lambda: len(broker.get("/executions?state=running")["items"]) == 1)
        restart(broker)
        caller.join()
        again = threading.Thread(target=ask)
        again.start()
        broker.http.post("/agents/agent-0/execute/cancel")
        again.join()
        told, ended = answers
        assert (told.status_code, told.json()["error"]) == (503, "restarting")
        assert f"execution {told.json()['executionId']} goes on" in told.json()["detail"]
        assert told.headers["Retry-After"] == "1"
        assert told.headers["Location"] == f"/executions/{told.json()['executionId']}"
        assert (ended.status_code, ended.headers["Idempotent-Replayed"]) == (409, "true")
        assert ended.json()["execution"]["executionId"] == told.json()["executionId"]


def test_a_reader_of_records_goes_on_where_it_was_cut(tmp_path: Path) -> None:
    """With Last-Event-ID no record is missed and none comes twice."""
    with serving(tmp_path / "home", fleet(agents=1)) as broker:
        execution = broker.accept("agent-0", ENDLESS)
        until(lambda: len(broker.get("/agents/agent-0/logs?lines=9")["lines"]) > 5)
        first: list[dict[str, Any]] = []
        reader = threading.Thread(target=lambda: first.extend(events(broker, execution)))
        reader.start()
        restart(broker)
        reader.join()
        until(lambda: broker.get("/agents/agent-0/logs?lines=1")["lines"][0]["number"] > int(first[-1]["id"]))
        broker.http.post(f"/executions/{execution}/cancel")
        rest = events(broker, execution, after=int(first[-1]["id"]))
        assert {event["event"] for event in first} == {"record"}
        assert (rest[0]["event"], rest[-1]["event"]) == ("record", "end")
        numbers = [int(event["id"]) for event in [*first, *rest[:-1]]]
        assert numbers == list(range(1, len(numbers) + 1))


def test_a_configuration_with_faults_is_refused_and_the_broker_goes_on(tmp_path: Path) -> None:
    """All faults are told to whoever asked, and logged; mended, the same restart takes the new settings."""
    with serving(tmp_path / "home", fleet(agents=1)) as broker:
        execution = broker.accept("agent-0", STREAM)
        before = broker.get("/api/about")
        file = broker.home / FILE_NAME
        good = file.read_text(encoding="utf-8")

        file.write_text(good.replace("120s", "long") + 'colour = "red"\n', encoding="utf-8")
        said = restart(broker, succeeds=False)
        log = (broker.home / "broker" / "logs" / "broker.log").read_text(encoding="utf-8")
        for fault in ("process.hold", "agents[0].colour"):
            assert fault in said
            assert fault in log
        after = broker.get("/api/about")
        assert (after["pid"], after["startedAt"]) == (before["pid"], before["startedAt"])
        assert "agents[0].colour" in after["restart"]["refused"]

        file.write_text(
            good + '[[agents]]\nid = "newcomer"\ncli_type = "scripted"\ncwd = "."\n', encoding="utf-8"
        )
        restart(broker)
        assert broker.execute("newcomer").status_code == 200
        assert broker.ended(execution)["state"] == "completed"


def test_what_a_restart_cannot_change_is_refused(tmp_path: Path) -> None:
    """Another database would not know the executions that run."""
    with serving(tmp_path / "home", fleet(agents=1)) as broker:
        file = broker.home / FILE_NAME
        other = f'[storage]\nurl = "sqlite:///{tmp_path}/other.db"\n'
        file.write_text(file.read_text(encoding="utf-8") + other, encoding="utf-8")
        assert "a restart cannot change storage.url" in restart(broker, succeeds=False)
        assert broker.execute("agent-0").status_code == 200


def test_a_damaged_database_keeps_a_restart_from_ending_the_broker(tmp_path: Path) -> None:
    """The next broker would not start on it: the one that has it open goes on, and says what to do."""
    with serving(tmp_path / "home", fleet(agents=1)) as broker:
        before = broker.get("/api/about")
        tear_page(broker.home / "broker" / "data" / "kokino.db", "turns")
        said = restart(broker, succeeds=False)
        assert "restart refused, the broker goes on as it was" in said
        assert "the file is damaged" in said
        assert "`kokino integrity restore FILE`" in said
        after = broker.get("/api/about")
        assert (after["pid"], after["startedAt"]) == (before["pid"], before["startedAt"])


def test_a_restart_into_an_older_version_is_refused(tmp_path: Path) -> None:
    """The database was migrated by a newer one, and what would come next says that it does not know it."""
    with serving(tmp_path / "home", fleet(agents=1)) as broker:
        with closing(sqlite3.connect(broker.home / "broker" / "data" / "kokino.db")) as db, db:
            db.execute("UPDATE alembic_version SET version_num = '9999'")
        said = restart(broker, succeeds=False)
        assert "its schema 9999 is of a newer Kokino" in said
        assert broker.execute("agent-0").status_code == 200


def test_a_stop_that_comes_in_the_middle_of_a_restart_is_a_stop(tmp_path: Path) -> None:
    """SIGTERM waits until the next broker can act upon it: it drains and ends in order."""
    with serving(tmp_path / "home", fleet(agents=1)) as broker:
        execution = broker.accept("agent-0", "script: stream 30 lines every 100ms")
        until(lambda: len(broker.get("/executions?state=running")["items"]) == 1)
        broker.send(signal.SIGUSR2)
        until(lambda: "makes room for the next one" in broker.said)
        broker.send(signal.SIGTERM)
        assert broker.wait() == 0
        broker.start()
        assert broker.get(f"/executions/{execution}")["state"] == "completed"


def test_nobody_but_a_broker_of_this_machine_is_sent_the_signal(tmp_path: Path) -> None:
    """It would end any other process: what answers at the address may run elsewhere."""
    about = {"pid": os.getpid(), "restart": None, "version": "1", "startedAt": "", "home": str(tmp_path)}

    class Impostor(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(about).encode())

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Impostor) as server:
        threading.Thread(target=server.handle_request).start()
        url = f"http://127.0.0.1:{server.server_port}"
        done = subprocess.run(
            [str(KOKINO), "restart", "--url", url], capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert f"pid {os.getpid()}, which is no `kokino serve` of this machine" in done.stderr
    assert psutil.Process().is_running()


def test_without_a_broker_it_says_so() -> None:
    """One message, and what to do."""
    done = subprocess.run(
        [str(KOKINO), "restart", "--url", "http://127.0.0.1:9"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "no broker answers at http://127.0.0.1:9" in done.stderr
    assert "kokino serve" in done.stderr
