"""Agents that cannot run, files that are damaged, a port that is taken: clear words, and nothing is lost."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from kokino.config import FILE_NAME
from kokino.testing.broker import TestBroker
from tests.acceptance.serving import Served, serving, until

TOML = """
[cli_types.gone]
driver = "scripted"
command = ["no-such-program"]
[[agents]]
id = "writer"
cli_type = "scripted"
cwd = "."
[[agents]]
id = "installed-nowhere"
cli_type = "gone"
cwd = "."
[[agents]]
id = "homeless"
cli_type = "scripted"
cwd = "work"
"""


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[TestBroker]:
    """A broker with one good agent, one without its CLI and one whose folder can be taken away."""
    (tmp_path / "home" / "work").mkdir(parents=True)
    async with TestBroker(tmp_path / "home", TOML) as started:
        yield started


async def test_a_missing_cli_fails_with_its_kind_and_the_next_step(broker: TestBroker) -> None:
    """The caller hears which program is missing and what to do; the record has the same."""
    problem = await failed(broker, "installed-nowhere", error="cli_missing")
    assert "no-such-program" in problem["detail"]
    assert "install it or configure `command`" in problem["detail"]
    found = await broker.get("/api/health/environment?cli=gone")
    assert not found["passed"]
    assert "no-such-program" in " ".join(one["message"] for one in found["checks"] if not one["passed"])


async def test_an_agent_whose_folder_has_vanished_fails_with_its_kind(broker: TestBroker) -> None:
    """The folder is named; once it is back, the agent works."""
    work = broker.home / "work"
    work.rmdir()

    problem = await failed(broker, "homeless", error="spawn")

    assert f"{work} does not exist; make it or configure another" in problem["detail"]
    work.mkdir()
    assert (await broker.execute("homeless")).status_code == 200


async def test_an_agent_whose_home_is_deleted_altogether_is_told_too(broker: TestBroker) -> None:
    """A spool that cannot be written fails that execution with a message, not the broker."""
    shutil.rmtree(broker.home / "broker" / "spool", ignore_errors=True)
    (broker.home / "broker" / "spool").write_text("a file where a folder should be")

    problem = await failed(broker, "writer", error="spawn")

    assert "spool" in problem["detail"]
    (broker.home / "broker" / "spool").unlink()
    assert (await broker.execute("writer")).status_code == 200


async def test_nonsense_in_last_event_id_is_refused(broker: TestBroker) -> None:
    """A stream that cannot be resumed says so; it does not begin anew without a word."""
    execution = (await broker.execute("writer")).json()["executionId"]
    for nonsense in (b"abc", b"-1", b"1.5", b"9" * 40, b"\xb2", "\u0663".encode()):
        answer = await broker.http.get(
            f"/executions/{execution}/events", headers={b"Last-Event-ID": nonsense}
        )
        problem = answer.json()
        assert (answer.status_code, problem["error"]) == (422, "invalid"), nonsense
        assert answer.headers["content-type"] == "application/problem+json"
        assert "Last-Event-ID must be the number of a record" in problem["detail"]


async def failed(broker: TestBroker, agent_id: str, *, error: str) -> dict[str, Any]:
    """The problem that executing answers, once it was seen to be whole."""
    answer: httpx.Response = await broker.execute(agent_id)
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["error"]) == (502, error), problem
    assert answer.headers["content-type"] == "application/problem+json"
    recorded = await broker.get(f"/executions/{problem['execution']['executionId']}")
    assert (recorded["state"], recorded["kind"], recorded["error"]) == ("failed", error, problem["detail"])
    (status,) = [one for one in await broker.get("/agents/sessions/status") if one["agentId"] == agent_id]
    assert not status["locked"]
    return problem


# --- a broker that cannot start ---------------------------------------------------------------------------


def refused_start(home: Path, toml: str = TOML, *options: str) -> str:
    """What `kokino serve` says when it does not start: one message, no traceback, exit code 1."""
    home.mkdir(parents=True, exist_ok=True)
    (home / FILE_NAME).write_text(toml, encoding="utf-8")
    served = Served(home, options or ("--port", "0"))
    served.launch()
    assert served.wait() == 1, served.said
    assert "Traceback" not in served.said
    return served.said


def test_a_port_in_use_is_named_and_nothing_else_is_touched(tmp_path: Path) -> None:
    """The second broker says which port, and what to do; not even a database is made."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused_start(tmp_path / "home", TOML, "--port", str(port))
    assert f"port {port} on 127.0.0.1 is in use" in said
    assert "--port or server.port" in said
    assert not (tmp_path / "home" / "broker" / "data").exists()
    assert not (tmp_path / "home" / "broker" / "spool").exists()


def test_a_second_broker_of_a_home_is_refused_and_the_first_works_on(tmp_path: Path) -> None:
    """Two brokers in one home would each think the other's executions lost."""
    (tmp_path / "home" / "work").mkdir(parents=True)
    with serving(tmp_path / "home", TOML) as first:
        second = Served(tmp_path / "home", ("--port", "0"))
        said_before = second.said
        second.launch()
        assert second.wait() == 1
        said = second.said.removeprefix(said_before)
        assert f"another broker uses this database (pid {first.process.pid if first.process else ''} " in said
        assert "Traceback" not in said
        assert first.execute("writer").status_code == 200


def test_all_mistakes_of_a_configuration_are_named_with_their_lines(tmp_path: Path) -> None:
    """Three mistakes, three lines: what is wrong, and what would be right."""
    toml = """\
[server]
prot = 5051

[[agents]]
id = "a/b"
cli_type = "scripted"
cwd = "."

[[agents]]
id = "c"
cli_type = "claud"
cwd = "."
"""
    said = refused_start(tmp_path / "home", toml)
    file = tmp_path / "home" / FILE_NAME
    assert "the configuration has 3 faults" in said
    assert f"{file}:2: server.prot: is no setting here; did you mean 'port'?" in said
    assert f"{file}:5: agents[0].id: " in said
    assert f"{file}:11: agents[1].cli_type: there is no CLI type 'claud'; known: " in said
    assert not (tmp_path / "home" / "broker" / "data").exists()


def test_a_configuration_that_is_no_toml_is_named_with_its_line(tmp_path: Path) -> None:
    """The line that cannot be read is told."""
    said = refused_start(tmp_path / "home", "[server]\nport = \n")
    assert f"{tmp_path / 'home' / FILE_NAME}:2: file: is not TOML" in said


def test_a_damaged_database_is_named_with_the_next_step_and_left_as_it_is(tmp_path: Path) -> None:
    """Nothing is repaired behind anybody's back: what is left of the file may be all there is."""
    database = tmp_path / "home" / "broker" / "data" / "kokino.db"
    database.parent.mkdir(parents=True)
    database.write_bytes(b"this was a database once " * 1000)
    before = database.read_bytes()

    said = refused_start(tmp_path / "home")

    assert f"{database}: the file is damaged" in said
    assert "move it aside and start again" in said
    assert database.read_bytes() == before


def test_a_database_damaged_in_its_middle_is_found_at_the_start(tmp_path: Path) -> None:
    """A file that still opens is looked through before anything is built on it."""
    home = tmp_path / "home"
    (home / "work").mkdir(parents=True)
    with serving(home, TOML) as broker:
        assert broker.execute("writer").status_code == 200
    database = home / "broker" / "data" / "kokino.db"
    content = bytearray(database.read_bytes())
    content[4096 : len(content) // 2] = bytes(len(content) // 2 - 4096)
    database.write_bytes(content)

    said = refused_start(home)

    assert f"{database}: the file is damaged" in said.splitlines()[-1]
    assert "kokino integrity restore" in said


def test_a_locked_database_is_named_with_who_to_ask(tmp_path: Path) -> None:
    """Another program that holds the file is not waited for in silence."""
    database = tmp_path / "home" / "broker" / "data" / "kokino.db"
    database.parent.mkdir(parents=True)
    with locked(database):
        said = refused_start(tmp_path / "home")
    assert f"{database}: the database is locked by another program" in said
    assert "fuser" in said


def test_a_database_locked_under_a_running_broker_loses_nothing(tmp_path: Path) -> None:
    """While it is locked, new work is refused with a message; afterwards everything goes on."""
    (tmp_path / "home" / "work").mkdir(parents=True)
    with serving(tmp_path / "home", TOML) as broker:
        running = broker.accept("writer", "script: stream 100 lines every 50ms")
        until(lambda: len(lines_of(broker, running)) > 1)
        database = tmp_path / "home" / "broker" / "data" / "kokino.db"
        with locked(database):
            # Twice: between the two a record of the running execution could not be written either.
            for answer in (broker.execute("writer"), broker.execute("writer")):
                assert (answer.status_code, answer.json()["error"]) == (503, "storage")
                assert answer.headers["content-type"] == "application/problem+json"
                assert str(database) in answer.json()["detail"]
                assert "another program holds it" in answer.json()["detail"]
        assert broker.ended(running)["state"] == "completed"
        recorded = "".join(line["body"] for line in lines_of(broker, running))
        assert [number for number in range(1, 101) if f'line {number}"' not in recorded] == []
        assert broker.execute("writer").status_code == 200
        # A module that failed meanwhile is well again with its next run.
        until(lambda: broker.http.get("/readyz").json()["status"] == "ok")


def test_what_was_accepted_before_a_sigkill_is_finished_after_the_restart(tmp_path: Path) -> None:
    """A 202 is a promise: what ran and what waited behind it come to an end."""
    (tmp_path / "home" / "work").mkdir(parents=True)
    with serving(tmp_path / "home", TOML) as broker:
        accepted = [broker.accept("writer", f"script: emit number {number}") for number in range(5)]
        broker.end(signal.SIGKILL)
        broker.start()
        ends = [broker.ended(execution) for execution in accepted]
        assert [(end["state"], end["content"]) for end in ends] == [
            ("completed", f"number {number}") for number in range(5)
        ]


def lines_of(broker: Served, execution: str) -> list[dict[str, Any]]:
    """What the writer's execution has written so far."""
    lines: list[dict[str, Any]] = broker.get("/agents/writer/logs?lines=10000")["lines"]
    return [line for line in lines if line["executionId"] == execution]


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another program that has the whole file for itself."""
    with subprocess.Popen(
        ["sqlite3", "-batch", "-bail", "-cmd", ".timeout 10000", str(database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdin.write("BEGIN EXCLUSIVE;\nSELECT 'held';\n")
        program.stdin.flush()
        assert program.stdout.readline() == "held\n"
        try:
            yield
        finally:
            program.communicate("ROLLBACK;\n.quit\n")
