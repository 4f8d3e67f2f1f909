"""The scripted agent as a process: each directive does what its page says, and the driver reads it so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from kokino.agents.drivers.registry import driver_named
from kokino.agents.failures import FailureKind
from kokino.testing.scripted_agent import Script
from tests.plain_runs import DEADLINE_S, Agent
from tests.sleepers import a_length, sleepers

SESSION = "4abd6c4e-c8bf-4f1d-b9ec-cd8ca6e7dc74"


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    """A scripted agent that remembers, listens to a script file, and inherits nothing."""
    driver = driver_named("scripted")
    env = {"KOKINO_SCRIPTED_HOME": str(tmp_path / "home"), "KOKINO_SCRIPT": str(tmp_path / "script")}
    return Agent(driver=driver, command=driver.default_command, folder=tmp_path, env=env)


@pytest.fixture
def running(agent: Agent) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Starts prompts whose processes are ended with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(script: str) -> subprocess.Popen[bytes]:
        started.append(agent.start(agent.invoke(f"hello\nscript: {script}", SESSION)))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def wait_for(what: str, is_so: Callable[[], Any]) -> Any:
    """What `is_so` gives, once it gives something."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        found = is_so()
        if found:
            return found
        time.sleep(0.01)
    pytest.fail(f"never happened: {what}")


def records(stdout: bytes) -> list[dict[str, Any]]:
    """The records of a run whose lines are all whole."""
    return [json.loads(line) for line in stdout.splitlines()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A script and what the driver makes of the run."""

    script: str
    kind: FailureKind | None
    #: Part of the answer, or of the error.
    says: str
    code: int | None = 0
    signal: int | None = None


THANKS = 'Thank you. In turn 1 you said "hello".'
CASES = (
    Case(script="", kind=None, says=THANKS),
    Case(script="emit first; emit second", kind=None, says="first\nsecond"),
    Case(script="think 1ms", kind=None, says=THANKS),
    Case(script="stream 3 lines every 1ms", kind=None, says="line 1\nline 2\nline 3"),
    Case(script="tool sleep 1ms; emit done", kind=None, says="done"),
    Case(script="write notes.txt some words", kind=None, says=THANKS),
    Case(script="fail auth", kind=FailureKind.AUTH, says="Failed to authenticate", code=1),
    Case(script="fail quota", kind=FailureKind.QUOTA, says="usage limit", code=1),
    Case(script="fail rate_limit", kind=FailureKind.RATE_LIMIT, says="Request rejected (429)", code=1),
    Case(script="fail context_length", kind=FailureKind.CONTEXT_LENGTH, says="too long", code=1),
    Case(script="fail overloaded", kind=FailureKind.RATE_LIMIT, says="Overloaded", code=1),
    Case(script="fail network", kind=FailureKind.NETWORK, says="Unable to connect", code=1),
    Case(script="retry overloaded 2 times every 1ms", kind=None, says=THANKS),
    Case(
        script="retry auth 2 times every 1ms; crash", kind=FailureKind.AUTH,
        says="SIGKILL", code=None, signal=9,
    ),
    Case(script="max-turns", kind=FailureKind.MAX_TURNS, says="maximum number of turns", code=1),
    Case(script="crash", kind=FailureKind.CRASH, says="SIGKILL", code=None, signal=9),
    Case(script="crash SEGV", kind=FailureKind.CRASH, says="SIGSEGV", code=None, signal=11),
    Case(script="crash 7", kind=FailureKind.CRASH, says="code 7", code=7),
    Case(script="garbage", kind=None, says=THANKS),
    Case(script="emit hi; half-line", kind=FailureKind.PROTOCOL, says="no records: 1"),
    Case(script="invalid-utf8", kind=None, says=THANKS),
    Case(script="long-line 2MB; emit short", kind=None, says="short"),
    Case(script="flood 20ms; emit dry", kind=None, says="dry"),
    Case(script="ignore SIGTERM", kind=None, says=THANKS),
    Case(script="eat 1MB", kind=None, says=THANKS),
    Case(script="no-result", kind=FailureKind.PROTOCOL, says="without a result record"),
    Case(script="linger 1ms", kind=None, says=THANKS),
    Case(script="emit lost; close-stdout", kind=FailureKind.PROTOCOL, says="without a result record"),
    Case(script="emit lost; empty-stdout; emit kept", kind=None, says="kept"),
    Case(script="chance 100% emit sure", kind=None, says="sure"),
    Case(script="chance 0% crash", kind=None, says=THANKS),
)  # fmt: skip
#: Directives that never end by themselves, or leave something behind, have tests of their own below.
APART = {"hang", "double-fork", "fork-bomb"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.script or "no script")
def test_a_script_comes_to_what_its_page_says(agent: Agent, case: Case) -> None:
    """The driver's reader sees each directive as the real thing that it stands for."""
    run = agent.run(f"hello\nscript: {case.script}", SESSION)
    assert (run.outcome.kind, run.exit.code, run.exit.signal) == (case.kind, case.code, case.signal)
    assert case.says in (run.outcome.content if case.kind is None else run.outcome.error or "")


def test_every_directive_is_tried() -> None:
    """A new directive needs a row, or a test of its own."""
    tried = {part.split()[0] for case in CASES for part in case.script.split(";") if part.strip()}
    assert tried | APART == set(Script.DIRECTIVES)


def test_a_failure_of_the_file_comes_before_what_the_prompt_asks(agent: Agent, tmp_path: Path) -> None:
    """The file injects a fault from outside, and an agent is healed by removing it."""
    file = tmp_path / "script"
    file.write_text("# the login is gone\nfail auth\n", "utf-8")
    prompt = "hello\nscript: emit fine"
    assert agent.run(prompt, SESSION).outcome.kind is FailureKind.AUTH
    file.unlink()
    assert agent.run(prompt, SESSION, is_resume=True).outcome.content == "fine"


def test_an_expired_login_fails_whatever_the_script_says(agent: Agent, tmp_path: Path) -> None:
    """A missing and an expired login are told as a 401, with retries before; a good one lets all through."""
    login = tmp_path / "login"
    env = {**agent.env, "KOKINO_SCRIPTED_LOGIN": str(login)}
    member = Agent(driver=agent.driver, command=agent.command, folder=agent.folder, env=env)
    missing = member.run("hello\nscript: emit fine", SESSION)
    login.write_text("expired\n", "utf-8")
    expired = member.run("hello", SESSION, is_resume=True)
    login.write_text("token\n", "utf-8")
    good = member.run("hello", SESSION, is_resume=True)
    kinds = [run.outcome.kind for run in (missing, expired, good)]
    assert kinds == [FailureKind.AUTH, FailureKind.AUTH, None]
    retries = [record for record in records(missing.stdout) if record.get("subtype") == "api_retry"]
    assert {(record["error_status"], record["error"]) for record in retries} == {
        (401, "authentication_failed")
    }
    assert records(missing.stdout)[-1]["api_error_status"] == 401


def test_the_second_turn_knows_the_first(agent: Agent) -> None:
    """A resumed session counts its turns and tells what was said before."""
    agent.run("one", SESSION)
    second = agent.run("two", SESSION, is_resume=True)
    assert second.outcome.content == 'Thank you. In turn 2 you said "two". Before that: "one".'
    assert second.reader.session_id == SESSION
    assert second.outcome.usage is not None
    assert second.outcome.cost_usd is not None
    assert second.outcome.cost_usd > 0


def test_sessions_are_refused_as_claude_refuses_them(agent: Agent) -> None:
    """Unknown, reused and malformed ids end the session in claude's words."""
    unknown = agent.run("hello", SESSION, is_resume=True)
    agent.run("hello", SESSION)
    reused = agent.run("hello", SESSION)
    malformed = agent.run("hello", "nope")
    for run in (unknown, reused, malformed):
        assert (run.outcome.kind, run.outcome.session_is_alive, run.exit.code) == (
            FailureKind.PROTOCOL,
            False,
            1,
        )
    assert records(unknown.stdout)[-1]["subtype"] == "error_during_execution"
    assert unknown.stderr.decode().strip() == f"No conversation found with session ID: {SESSION}"


def test_without_a_home_nothing_is_remembered_and_nothing_refused(agent: Agent, tmp_path: Path) -> None:
    """No memory was asked for: any id is accepted, and nothing is written."""
    forgetful = Agent(driver=agent.driver, command=agent.command, folder=agent.folder, env={})
    for is_resume in (False, False, True):
        assert forgetful.run("hello", SESSION, is_resume=is_resume).outcome.kind is None
    assert not (tmp_path / "home").exists()
    assert list((tmp_path / "work").iterdir()) == []


def test_the_same_run_is_the_same_to_the_last_byte(agent: Agent) -> None:
    """Only the measured duration differs between two runs of one prompt."""
    forgetful = Agent(driver=agent.driver, command=agent.command, folder=agent.folder, env={})
    prompt = "hello\nscript: chance 50% emit heads; stream 2 lines every 1ms"
    runs = [records(forgetful.run(prompt, SESSION).stdout) for _ in range(2)]
    for run in runs:
        run[-1].pop("duration_ms")
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    ("script", "word"),
    [
        ("emitt hello", "unknown directive 'emitt'; there are: chance, close-stdout, crash"),
        ("think soon", "cannot read 'think soon'; it is written: think 2s"),
        ("fail login", "cannot read 'fail login'; it is written: fail auth|quota"),
        ("ignore SIGFOO", "unknown signal 'SIGFOO'"),
        ("ignore SIGKILL", "nobody can ignore SIGKILL"),
        ("write no/such/folder words", "No such file or directory: 'no/such/folder'"),
    ],
)
def test_a_script_that_cannot_be_followed_is_told(agent: Agent, script: str, word: str) -> None:
    """Exit code 2, and on standard error the word at fault with what there is instead."""
    run = agent.run(f"hello\nscript: {script}", SESSION)
    assert run.exit.code == 2
    assert f"scripted-agent: {word}" in run.stderr.decode().replace("[Errno 2] ", "")


def test_a_tool_is_a_process_of_its_own_session_between_two_records(
    agent: Agent, running: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    """As with the real CLIs, killing the agent's process group does not end its tool."""
    process = running("tool sleep 60s")
    [child] = wait_for("the tool starts", psutil.Process(process.pid).children)
    wait_for("the tool has its session", lambda: os.getsid(child.pid) == child.pid)
    assert b"tool_use" in agent.output()
    assert b"tool_result" not in agent.output()
    child.kill()
    assert process.wait(DEADLINE_S) == 0
    assert b"tool_result" in agent.output()


def test_a_double_forked_process_outlives_the_agent(agent: Agent) -> None:
    """It has another parent, a session of its own and no environment to be known by."""
    seconds = a_length()
    run = agent.run(f"hello\nscript: double-fork {seconds}s", SESSION)
    assert run.outcome.kind is None
    orphans = sleepers(seconds)
    try:
        [orphan] = orphans
        assert os.getsid(orphan.pid) == orphan.pid
        wait_for("its environment is wiped", lambda: "KOKINO_SCRIPT" not in orphan.environ())
    finally:
        for orphan in orphans:
            orphan.kill()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_it_obeys_a_stop_without_a_result(
    agent: Agent, running: Callable[[str], subprocess.Popen[bytes]], number: int, code: int
) -> None:
    """SIGTERM and SIGHUP end it as they end claude: by exit code, with nothing more said."""
    process = running("emit on my way; hang")
    wait_for("it has begun", lambda: b"on my way" in agent.output())
    process.send_signal(number)
    assert process.wait(DEADLINE_S) == code
    run = agent.read(process)
    assert (run.outcome.kind, run.outcome.content) == (FailureKind.CRASH, "on my way")


def test_an_interrupt_makes_it_say_so_and_exit_with_0(
    agent: Agent, running: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    """SIGINT looks like a good end by its exit code alone, as with claude."""
    process = running("emit on my way; hang")
    wait_for("it has begun", lambda: b"on my way" in agent.output())
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE_S) == 0
    assert agent.read(process).outcome.kind is FailureKind.CANCELLED


def test_an_ignored_signal_changes_nothing(
    agent: Agent, running: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    """After `ignore SIGTERM` it goes on to its end as if nobody had asked."""
    process = running("ignore SIGTERM; tool sleep 60s; emit still here")
    [child] = wait_for("the tool starts", psutil.Process(process.pid).children)
    process.terminate()
    child.kill()
    assert process.wait(DEADLINE_S) == 0
    assert agent.read(process).outcome.content == "still here"


def test_it_lingers_after_its_last_word(
    agent: Agent, running: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    """The result is out while the process lives on; being stopped then takes nothing back."""
    process = running("linger 60s")
    wait_for("its result is out", lambda: b'"type": "result"' in agent.output())
    assert process.poll() is None
    process.terminate()
    assert process.wait(DEADLINE_S) == 143
    assert agent.read(process).outcome.kind is None


def test_it_eats_as_much_memory_as_it_was_told(
    agent: Agent, running: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    """The memory is resident, not only promised."""
    process = running("eat 64MB; emit full; hang")
    wait_for("it has eaten", lambda: b"full" in agent.output())
    assert psutil.Process(process.pid).memory_info().rss > 64 << 20


def test_it_forks_as_far_as_it_was_told(
    agent: Agent, running: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    """Every process in the tree forks on, and all of them stay."""
    process = running("fork-bomb 20")
    root = psutil.Process(process.pid)
    wait_for("the tree is full", lambda: len(root.children(recursive=True)) == 20)
    for child in root.children(recursive=True):
        child.kill()


def test_it_writes_files_where_it_works(agent: Agent, tmp_path: Path) -> None:
    """A relative name is in the working directory."""
    agent.run("hello\nscript: write notes.txt some words", SESSION)
    assert (tmp_path / "work" / "notes.txt").read_text("utf-8") == "some words\n"


def test_damage_is_counted_and_read_past(agent: Agent) -> None:
    """Garbage and strangers in the stream are seen for what they are."""
    run = agent.run("hello\nscript: garbage; invalid-utf8", SESSION)
    assert (run.outcome.kind, run.reader.unknown_records) == (None, 1)
    assert run.reader.garbage_lines == 5
    assert "caf\N{REPLACEMENT CHARACTER}" in run.stdout.decode("utf-8", "replace")


def test_it_needs_nothing_but_the_standard_library() -> None:
    """Isolated and without site packages, as the driver runs it, it imports no package of ours."""
    command = driver_named("scripted").default_command
    assert command[:3] == (sys.executable, "-I", "-S")
    run = subprocess.run([*command, "-p"], input=b"hi", capture_output=True, env={}, check=True)
    assert records(run.stdout)[-1]["result"] == 'Thank you. In turn 1 you said "hi".'


def test_as_an_installed_command_it_draws_its_terminal_too(tmp_path: Path) -> None:
    """Its files find each other however it is started."""
    command, told = "from kokino.testing.scripted_agent import main; main()", tmp_path / "records"
    keys, terminal = os.openpty()
    argv = [sys.executable, "-c", command, "--interactive", "--records", str(told)]
    with subprocess.Popen(argv, stdin=terminal, stdout=terminal, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        try:
            os.write(keys, b"Say hello.\n")
            wait_for("an answer or an end", lambda: process.poll() is not None or _has_result(told))
        finally:
            process.terminate()
            complaint = process.stderr.read().decode()
            os.close(keys)
            os.close(terminal)
    assert _has_result(told), complaint


def _has_result(file: Path) -> bool:
    return file.exists() and '"type": "result"' in file.read_text(encoding="utf-8")
