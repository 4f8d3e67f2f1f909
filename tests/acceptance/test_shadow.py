"""Shadow mode in a whole broker: two real processes for each prompt, and what is made of their difference."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import Connection

from kokino.agents.drivers.scripted import PROGRAM
from kokino.shadow.model import Verdict
from kokino.shadow.notices import tell
from kokino.testing.broker import PATIENCE, TestBroker
from tests.acceptance.serving import processes_of, serving, until
from tests.unit.shadow.given import comparison

RULE = "correctness-slo-breach"
NOBODY = ("-c", "user.name=a", "-c", "user.email=a@example.org")
#: A secret of the broker's own environment.
INHERITED = "canary-inherited-0001"
#: Plays each side by a script of its own: which one it is, the environment tells.
EITHER = """
case "$1" in --version) echo 1.0.0; exit ;; esac
case "$KOKINO_AGENT" in shadow.*) KOKINO_SCRIPT={folder}/headless ;; *) KOKINO_SCRIPT={folder}/tmux ;; esac
export KOKINO_SCRIPT
exec {python} -I -S {agent} "$@"
"""
TOML = """
[cli_types.either]
driver = "scripted"
command = ["/bin/sh", "{folder}/either.sh"]
env = {{ KOKINO_SCRIPTED_HOME = "{folder}/memory" }}
[[agents]]
id = "writer"
cli_type = "either"
cwd = "{folder}/project"
mode = "shadow"
limits = {{ grace = "1s", timeout = "1h", idle = "1h" }}
"""


@dataclass(slots=True)
class Pair:
    """A broker with an agent whose two sides can be told what to do."""

    broker: TestBroker
    folder: Path

    @property
    def project(self) -> Path:
        """Where the agent works."""
        return self.folder / "project"

    @property
    def snapshots(self) -> list[str]:
        """The agents of which there is a snapshot."""
        shadow = self.broker.home / "broker" / "shadow"
        return sorted(entry.name for entry in shadow.iterdir()) if shadow.exists() else []

    def plays(self, tmux: str, headless: str) -> None:
        """What both sides do from now on."""
        for name, script in (("tmux", tmux), ("headless", headless)):
            (self.folder / f"{name}.new").write_text(script)
            (self.folder / f"{name}.new").rename(self.folder / name)

    async def begin(self, prompt: str = "Go.") -> str:
        """The id of an execution whose both sides run."""
        answer = await self.broker.http.post(
            "/agents/writer/execute", json={"prompt": prompt}, headers={"Prefer": "respond-async"}
        )
        execution = str(answer.json()["executionId"])
        await self.until(lambda: processes_of({f"{execution}.shadow"}) and processes_of({execution}))
        return execution

    async def later(self, seconds: float) -> None:
        """Let all be done that can be, then so much time pass."""
        await self.broker.settle()
        self.broker.clock.move_to(self.broker.clock.now() + timedelta(seconds=seconds))

    async def matched(self, count: int) -> None:
        """As if so many comparisons had matched."""

        def write(conn: Connection) -> None:
            for _ in range(count):
                tell(conn, comparison(Verdict.MATCH, ended_at=self.broker.clock.now()))

        await self.broker.broker.services.storage.write(write)

    async def until(self, condition: Any) -> None:
        """Return once it holds."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await asyncio.sleep(0.02)

    async def ended(self, execution: str) -> Any:
        """The execution, once it has ended; time does not pass."""
        async with asyncio.timeout(PATIENCE):
            while (found := await self.broker.get(f"/executions/{execution}"))["endedAt"] is None:
                await asyncio.sleep(0.02)
        return found

    async def metrics(self) -> Any:
        """The last day's."""
        return await self.broker.get("/api/shadow-mode/metrics?days=1")

    async def assert_nothing_is_left(self, execution: str) -> None:
        """No process, no snapshot, no lock, no copy of a session."""
        assert processes_of({execution, f"{execution}.shadow"}) == []
        assert self.snapshots == []
        (status,) = await self.broker.get("/agents/sessions/status")
        assert not status["locked"]
        sessions = {file.stem for file in (self.folder / "memory").glob("*.jsonl")}
        assert sessions <= {status["sessionId"]}


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    """An agent in shadow mode, at work in a git repository."""
    folder = tmp_path / "pair"
    (folder / "project").mkdir(parents=True)
    (folder / "either.sh").write_text(EITHER.format(folder=folder, python=sys.executable, agent=PROGRAM))
    for git in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "first")):
        (folder / "project" / "a.txt").write_text("one\n")
        await anyio.run_process(["git", *NOBODY, *git], cwd=folder / "project")
    environment = {"VENDOR_API_KEY": INHERITED}
    toml = TOML.format(folder=folder)
    async with TestBroker(tmp_path / "home", toml, environment=environment) as broker:
        yield Pair(broker, folder)


async def test_what_differs_in_times_alone_matches_and_what_differs_in_content_does_not(pair: Pair) -> None:
    """The caller gets the answer of tmux each time; both sides are told of with their cost, none is left."""
    pair.plays("emit Done at 2026-01-05T09:00:00Z in 3 s.", "emit Done at 2027-12-31T23:59:59Z in 150 ms.")
    first = await pair.broker.execute("writer", "Build it.")
    await pair.later(1)
    pair.plays("write a.txt two; emit All 42 tests pass.", "write a.txt three; emit All 41 tests pass.")
    second = await pair.broker.execute("writer", "Test it.")
    await pair.later(1)
    pair.plays("emit The lock was missing.", "emit I have found nothing at all.")
    third = await pair.broker.execute("writer", "Explain it.")
    await pair.broker.settle()

    answers = [answer.json()["content"] for answer in (first, second, third)]
    assert answers == [
        "Done at 2026-01-05T09:00:00Z in 3 s.", "All 42 tests pass.", "The lock was missing.",
    ]  # fmt: skip
    assert (pair.project / "a.txt").read_text() == "two\n"
    found = await pair.metrics()
    assert (found["totals"]["matches"], found["totals"]["mismatches"]) == (1, 2)
    assert (found["matchedBy"], found["mismatchedBy"]) == ({"normalised": 1}, {"files": 1, "similarity": 1})
    assert found["resources"]["headless"]["costUsd"] > 0
    assert found["resources"]["headless"]["meanPeakMemoryMB"] > 1
    by_text, by_files = (await pair.broker.get("/api/shadow-mode/mismatches?limit=20"))["items"]
    assert (by_files["reason"], by_files["context"]) == ("files differ: a.txt", "fork")
    assert "-two\n+three" in by_files["diff"]
    assert "-All 42 tests pass.\n+All 41 tests pass." in by_files["diff"]
    assert "-The lock was missing.\n+I have found nothing at all." in by_text["diff"]
    # The shadow side is nobody's work, and nobody else's worker.
    assert (await pair.broker.execute("shadow.writer")).status_code == 409
    status = await pair.broker.get("/api/slo/status")
    assert (status["availability"]["window"]["total"], status["correctness"]["window"]["total"]) == (3, 3)
    await pair.assert_nothing_is_left(third.json()["executionId"])


async def test_a_difference_is_told_without_secrets_and_with_its_paths(pair: Pair) -> None:
    """Also without those that an agent inherits of the broker; where it works is no secret."""
    words = f"The key is {INHERITED}, see {pair.folder}/memory."
    pair.plays(f"emit {words}", "emit I have found nothing at all.")
    await pair.broker.execute("writer")
    await pair.broker.settle()
    [mismatch] = (await pair.broker.get("/api/shadow-mode/mismatches?limit=20"))["items"]
    told = "".join(
        line[1:] for line in mismatch["diff"].splitlines() if line.startswith("-The") or "/" in line
    )
    assert INHERITED not in mismatch["diff"]
    assert "The key is [redacted], see" in told
    assert "/memory." in mismatch["diff"]


async def test_the_alert_fires_on_mismatches_and_resolves_on_matches(pair: Pair) -> None:
    """Its playbook says whether they are benign, from the diffs that it read."""
    pair.plays("emit One.", "emit Something else altogether.")
    for _ in range(2):
        await pair.broker.execute("writer")
        await pair.broker.settle()
    assert (await alert_of(pair))["state"] == "firing"
    [incident] = (await pair.broker.get("/api/incidents"))["items"]
    whole = await pair.broker.get(f"/api/incidents/{incident['id']}")
    notes = [entry["text"] for entry in whole["timeline"] if "do different things" in entry["text"]]
    assert notes, [entry["text"] for entry in whole["timeline"]]

    await pair.broker.fast_forward(hours=6, minutes=1)
    await pair.matched(9)
    pair.plays("emit One.", "emit One.")
    assert (await alert_of(pair))["state"] == "firing"
    await pair.broker.execute("writer")
    await pair.broker.fast_forward(hours=1)
    assert (await alert_of(pair))["state"] == "resolved"


async def alert_of(pair: Pair) -> Any:
    """The alert on the objective `correctness`."""
    [alert] = [one for one in await pair.broker.get("/api/alerts") if one["ruleId"] == RULE]
    return alert


async def test_a_cancel_ends_both_sides_and_leaves_nothing(pair: Pair) -> None:
    """It returns when both are gone; nothing is compared."""
    pair.plays("hang", "ignore SIGTERM; hang")
    execution = await pair.begin()
    (status,) = await pair.broker.get("/agents/sessions/status")
    assert (status["locked"], status["executionId"]) == (True, execution)
    assert pair.snapshots == ["writer"]

    cancelled = await pair.broker.post("/agents/writer/execute/cancel")
    assert (cancelled["status"], cancelled["execution"]["executionId"]) == ("cancelled", execution)
    assert processes_of({execution, f"{execution}.shadow"}) == []

    await pair.broker.settle()
    await pair.assert_nothing_is_left(execution)
    found = await pair.metrics()
    assert (found["totals"]["comparisons"], found["notComparedFor"]) == (0, {"tmux: it was cancelled": 1})


async def test_a_slow_shadow_keeps_the_agent_for_a_while_and_the_caller_not_at_all(pair: Pair) -> None:
    """The answer is sent; after half a minute more the shadow side is ended, and the next prompt runs."""
    pair.plays("emit Quick.", "hang")
    answer = await pair.broker.execute("writer")
    execution = answer.json()["executionId"]
    assert answer.json()["content"] == "Quick."
    (status,) = await pair.broker.get("/agents/sessions/status")
    assert (status["locked"], status["executionId"]) == (True, f"{execution}.shadow")

    pair.plays("emit Next.", "emit Next.")
    waits = await pair.broker.http.post(
        "/agents/writer/execute", json={"prompt": "Go on."}, headers={"Prefer": "respond-async"}
    )
    assert (await pair.broker.get("/agents/sessions/status"))[0]["queueLength"] == 1
    await asyncio.sleep(0)
    pair.broker.clock.move_to(pair.broker.clock.now() + timedelta(seconds=30))

    assert (await pair.ended(waits.json()["executionId"]))["content"] == "Next."
    await pair.broker.settle()
    found = await pair.metrics()
    assert found["notComparedFor"] == {"headless was not done 30 s after tmux had answered": 1}
    assert (found["totals"]["matches"], found["totals"]["regressions"]) == (1, 1)
    events = await pair.broker.get("/api/metrics/events?type=SHADOW_LATENCY_REGRESSION")
    assert [event["executionId"] for event in events] == [execution]
    await pair.assert_nothing_is_left(execution)


async def test_switched_off_it_stays_off_and_tmux_goes_on(pair: Pair) -> None:
    """What runs beside an execution is ended; over a restart too nothing is compared, until it is enabled.

    Nor is it while the headless form of its CLI type is disabled.
    """
    pair.plays("think 300ms; emit Done.", "hang")
    execution = await pair.begin()
    off = await pair.broker.post("/api/shadow-mode/disable-all", reason="too much noise")
    assert (off["enabled"], off["reason"], off["setBy"]) == (False, "too much noise", "local")
    assert (await pair.ended(execution))["content"] == "Done."
    await pair.broker.settle()
    await pair.broker.restart()

    pair.plays("emit Alone.", "hang")
    assert (await pair.broker.execute("writer")).json()["content"] == "Alone."
    await pair.broker.settle()
    found = await pair.metrics()
    assert found["summary"].endswith("Shadow mode is switched off: too much noise.")
    assert found["notComparedFor"] == {"shadow mode was switched off": 1}

    await pair.broker.post("/api/shadow-mode/enable")
    await pair.broker.post("/api/fallback/cli/disable", cliType="either", reason="it hangs", target="tmux")
    assert (await pair.broker.execute("writer")).json()["content"] == "Alone."
    await pair.broker.post("/api/fallback/cli/enable", cliType="either")
    pair.plays("emit Both.", "emit Both.")
    await pair.broker.execute("writer")
    await pair.broker.settle()
    found = await pair.metrics()
    assert found["totals"]["matches"] == 1
    assert found["notComparedFor"]["the headless form of either is disabled"] == 1


async def test_a_session_that_cannot_be_copied_is_not_compared_and_leaves_nothing(pair: Pair) -> None:
    """The second prompt needs what was said in the first; in its new session the agent is compared again."""
    pair.plays("emit Done.", "emit Done.")
    await pair.broker.execute("writer")
    await pair.later(1)
    (session,) = (pair.folder / "memory").glob("*.jsonl")
    session.rename(session.with_suffix(".away"))
    await pair.broker.execute("writer")
    await pair.later(1)
    assert pair.snapshots == []
    await pair.broker.execute("writer")
    await pair.later(1)

    found = await pair.metrics()
    (why,) = found["notComparedFor"]
    assert why.startswith("its session cannot be copied: No such file or directory")
    assert found["totals"]["matches"] == 2


async def test_a_folder_that_is_too_large_is_not_compared_and_says_so(pair: Pair) -> None:
    """The caller gets his answer all the same."""
    pair.plays("emit Done.", "emit Done.")
    comparisons = pair.broker.broker.services.shadow.comparisons
    comparisons.snapshots.bounds = type(comparisons.snapshots.bounds)(files=0)
    assert (await pair.broker.execute("writer")).json()["content"] == "Done."
    await pair.broker.settle()
    found = await pair.metrics()
    assert found["notComparedFor"] == {"it has more than 0 files (shadow.snapshot_files)": 1}
    assert pair.snapshots == []


def test_a_broker_that_dies_leaves_neither_process_nor_snapshot_nor_lock(tmp_path: Path) -> None:
    """Both sides end with it; the next broker writes their ends, removes the snapshot, and goes on."""
    work = tmp_path / "work"
    work.mkdir()
    toml = f"""
[process]
hold = "1s"
[[agents]]
id = "writer"
cli_type = "scripted"
cwd = "{work}"
mode = "shadow"
"""
    with serving(tmp_path / "home", toml) as broker:
        execution = broker.accept("writer", "script: hang")
        both = {execution, f"{execution}.shadow"}
        until(lambda: all(processes_of({one}) for one in both))
        snapshots = tmp_path / "home" / "broker" / "shadow"
        assert [entry.name for entry in snapshots.iterdir()] == ["writer"]

        broker.end(signal.SIGKILL)
        until(lambda: processes_of(both) == [])
        broker.start()

        assert [broker.ended(one)["state"] for one in sorted(both)] == ["lost", "lost"]
        until(lambda: list(snapshots.iterdir()) == [])
        assert broker.execute("writer").status_code == 200
        until(lambda: broker.get("/api/shadow-mode/metrics?days=1")["totals"]["matches"] == 1)
        found = broker.get("/api/shadow-mode/metrics?days=1")
        assert found["notComparedFor"] == {"tmux: its broker or its process went away": 1}
        until(lambda: not broker.get("/agents/sessions/status")[0]["locked"])
        assert list(snapshots.iterdir()) == []
