"""Agents that do their worst: each gets the right end, leaves nothing alive, and its agent is free again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kokino.testing.broker import TestBroker
from tests.acceptance.serving import processes_of
from tests.sleepers import a_length, sleepers

#: Far longer than anything here takes, in real seconds.
PATIENCE = 120
#: Of a double-forked daemon, in seconds.
DAEMON = a_length()
TOML = """
[[agents]]
id = "hostile"
cli_type = "scripted"
cwd = "."
limits = { grace = "300ms", memory_mb = 200, processes = 60, output_mb = 64 }
[[agents]]
id = "neighbour"
cli_type = "scripted"
cwd = "."
"""


@dataclass(frozen=True, kw_only=True)
class Case:
    """What it does, and how that ends."""

    why: str
    script: str
    state: str
    kind: str | None = None
    #: Part of the answer, or of the error.
    says: str = ""
    #: Somebody cancels it once this is in its records.
    cancel_at: str | None = None
    #: Its end comes with time, which here is virtual.
    is_overdue: bool = False


CASES = (
    Case(
        why="it ignores being asked",
        script="ignore SIGTERM; emit up; hang",
        cancel_at="up",
        state="cancelled",
        kind="cancelled",
    ),
    Case(
        why="it ignores being asked, and its deadline",
        script="ignore SIGTERM; ignore SIGINT; emit up; hang",
        is_overdue=True,
        state="timeout",
        kind="idle_timeout",
        says="no output for 2m, its idle deadline (limits.idle)",
    ),
    Case(
        why="it leaves a process behind that has no parent, no session and no environment of ours",
        script=f"double-fork {DAEMON}s; emit forked",
        state="completed",
        says="forked",
    ),
    Case(
        why="it closes its output and lives on: the end is no end of file",
        script="emit bye; close-stdout; hang",
        is_overdue=True,
        state="timeout",
        kind="idle_timeout",
    ),
    Case(
        why="it empties the file of its output",
        script="emit before; think 1s; empty-stdout; emit behind",
        state="completed",
        says="before\nbehind",
    ),
    Case(
        why="it never exits after its result",
        script="ignore SIGTERM; emit done; linger 600s",
        is_overdue=True,
        state="completed",
        says="done",
    ),
    Case(
        why="it writes a line of 50 MB", script="long-line 50MB; emit short", state="completed", says="short"
    ),
    Case(
        why="it writes bytes that are no text",
        script="invalid-utf8; garbage; emit fine",
        state="completed",
        says="fine",
    ),
    Case(
        why="it dies in the middle of a line",
        script="emit hi; half-line; crash SIGSEGV",
        state="failed",
        kind="crash",
        says="SIGSEGV",
    ),
    Case(
        why="its result is glued to half a line",
        script="emit hi; half-line",
        state="failed",
        kind="protocol",
        says="without a result record",
    ),
    Case(
        why="it exits with 0 and no result",
        script="emit hi; no-result",
        state="failed",
        kind="protocol",
        says="without a result record",
    ),
    Case(
        why="it floods its output at full speed for ten seconds",
        script="flood 10s",
        state="failed",
        kind="output_limit",
        says="limits.output_mb",
    ),
    Case(
        why="a tree of processes runs away",
        script="emit up; fork-bomb 2000",
        state="failed",
        kind="process_limit",
        says="limits.processes",
    ),
    Case(
        why="it fills its memory",
        script="emit up; eat 300MB; hang",
        state="failed",
        kind="oom",
        says="limits.memory_mb",
    ),
)


#: By which a record is known.
TEXTS = ('"subtype": "init"', '"text": "before"', '"text": "behind"', '"text": "last"', '"type": "result"')


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[TestBroker]:
    """A broker with a hostile agent and one that has done nothing."""
    async with TestBroker(tmp_path / "home", TOML) as started:
        yield started


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
async def test_a_hostile_agent_gets_its_end(box: TestBroker, case: Case) -> None:
    """One state, one kind; no process is left, the lock is free, and others never noticed."""
    accepted = await box.http.post(
        "/agents/hostile/execute",
        json={"prompt": f"Work.\nscript: {case.script}"},
        headers={"Prefer": "respond-async"},
    )
    execution = accepted.json()["executionId"]
    if case.cancel_at is not None:
        await has_said(box, execution, case.cancel_at)
        await box.post(f"/executions/{execution}/cancel")
    assert (await box.execute("neighbour")).status_code == 200

    ended = await ended_in_time(box, execution, is_overdue=case.is_overdue)

    assert (ended["state"], ended["kind"]) == (case.state, case.kind), ended["error"]
    assert case.says in (ended["content"] if case.kind is None else ended["error"])
    assert processes_of({execution}) == []
    assert sleepers(DAEMON) == []
    locked = {one["agentId"]: one["locked"] for one in await box.get("/agents/sessions/status")}
    assert locked == {"hostile": False, "neighbour": False}
    async with asyncio.timeout(PATIENCE):  # its files go when its end is written
        while list((box.home / "broker" / "spool").iterdir()):
            await asyncio.sleep(0.02)
    assert (await box.execute("hostile", "And now?")).status_code == 200


async def test_output_that_is_emptied_is_recorded_before_and_behind(box: TestBroker) -> None:
    """A wrapper's ``> /dev/stdout`` costs nothing that was recorded, and nothing that is written later."""
    script = "emit before; think 1s; empty-stdout; emit behind; half-line; think 1s; empty-stdout; emit last"
    accepted = await box.http.post(
        "/agents/hostile/execute",
        json={"prompt": f"Work.\nscript: {script}"},
        headers={"Prefer": "respond-async"},
    )
    await ended_in_time(box, accepted.json()["executionId"], is_overdue=False)

    lines = [line["body"] for line in (await box.get("/agents/hostile/logs?lines=100"))["lines"]]

    said = [next((text for text in TEXTS if text in line), line[:30]) for line in lines]
    assert said == [*TEXTS[:3], '{"type":"assistant","message":', *TEXTS[3:]]


async def has_said(box: TestBroker, execution: str, text: str) -> None:
    """Return once its records hold the text."""
    async with asyncio.timeout(PATIENCE):
        while True:
            lines = (await box.get("/agents/hostile/logs?lines=100"))["lines"]
            if any(text in line["body"] for line in lines if line["executionId"] == execution):
                return
            await asyncio.sleep(0.02)


async def ended_in_time(box: TestBroker, execution: str, *, is_overdue: bool) -> Any:
    """The ended execution; for one that is overdue time passes, once it has written something."""
    async with asyncio.timeout(PATIENCE):
        while (found := await box.get(f"/executions/{execution}"))["endedAt"] is None:
            if is_overdue and (await box.get("/agents/hostile/logs"))["lines"]:
                box.clock.advance(seconds=5)
            await asyncio.sleep(0.05)
    return found
