"""Steps as processes: their environment, their token, their end."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from kokino.playbooks import execute
from kokino.playbooks.execute import StepRunner
from kokino.playbooks.model import Effect, RunMode, Section, Step
from kokino.playbooks.run import Outcome, StepState
from kokino.process.client import Warden
from kokino.testing.clock import ManualClock
from kokino.testing.ids import SequentialIds
from kokino.tokens import Scope, Tokens

#: Far longer than anything here takes, in seconds.
PATIENCE = 20
TOKENS = Tokens(b"k" * 32)


@pytest.fixture
def runner(warden: Warden, tmp_path: Path) -> StepRunner:
    """Runs steps in a home of the test's own; the broker's environment holds a secret."""
    return StepRunner(
        warden=warden,
        clock=ManualClock(),
        ids=SequentialIds(),
        tokens=TOKENS,
        environment={"PATH": "/usr/bin:/bin", "SLACK_TOKEN": "canary"},
        home=tmp_path,
        spool=tmp_path / "spool",
        url="http://127.0.0.1:5050",
    )


def step(script: str, *, effect: Effect = Effect.READ, timeout: float = PATIENCE) -> Step:
    """A step with that block."""
    return Step(
        id="look",
        section=Section.INVESTIGATE,
        title="Look",
        script=script,
        line=1,
        effect=effect,
        timeout=timedelta(seconds=timeout),
        run=RunMode.AUTO,
    )


async def run(runner: StepRunner, script: str, **more: str) -> Outcome:
    """What came of a block, run with these inputs."""
    return await runner.run(step(script), subject="playbook disk", inputs=more)


async def test_a_step_that_exits_with_zero_has_passed_with_its_output(runner: StepRunner) -> None:
    """Standard output and error apart, as they were written."""
    assert await run(runner, "echo out; echo err >&2") == Outcome(
        state=StepState.PASSED, exit_code=0, output="out\n", errors="err\n"
    )


@pytest.mark.parametrize(
    "script", ["false\necho on", "false | cat\necho on", 'echo "$NO_SUCH_INPUT"\necho on']
)
async def test_a_step_stops_at_its_first_mistake(runner: StepRunner, script: str) -> None:
    """A failed command, also inside a pipe, or an input that nobody gave: nothing behind it runs."""
    outcome = await run(runner, script)
    assert (outcome.state, outcome.exit_code, outcome.output) == (StepState.FAILED, 1, "")


async def test_a_step_sees_its_inputs_and_nothing_of_the_brokers(runner: StepRunner, tmp_path: Path) -> None:
    """What it is given by name is all that it has, and hostile text in it stays text."""
    hostile = '$(touch "$KOKINO_HOME/owned"); `id`\n"'
    outcome = await run(runner, 'env -0 | sort -z | tr "\\0" "|"; pwd', CLI_TYPE=hostile)
    found = dict(entry.split("=", 1) for entry in outcome.output.split("|")[:-1])
    assert found["CLI_TYPE"] == hostile
    assert found["KOKINO_URL"] == "http://127.0.0.1:5050"
    assert found["KOKINO_HOME"] == str(tmp_path)
    assert "SLACK_TOKEN" not in found
    assert outcome.output.splitlines()[-1].endswith(str(tmp_path))
    assert not (tmp_path / "owned").exists()


async def test_an_input_cannot_take_the_brokers_place(runner: StepRunner) -> None:
    """A pattern that names its input like one of ours does not redirect the token."""
    outcome = await run(runner, 'echo "$KOKINO_URL"', KOKINO_URL="http://evil.example")
    assert outcome.output == "http://127.0.0.1:5050\n"


@pytest.mark.parametrize(
    ("effect", "scopes"),
    [
        (Effect.READ, {Scope.READ}),
        (Effect.WRITE, {Scope.READ, Scope.RUN, Scope.OPERATE}),
        (Effect.DANGEROUS, {Scope.READ, Scope.RUN, Scope.OPERATE}),
    ],
)
async def test_the_token_allows_what_the_effect_says(
    runner: StepRunner, tmp_path: Path, effect: Effect, scopes: set[Scope]
) -> None:
    """Never to approve; for 15 minutes; in a file that nobody else may read."""
    script = 'cat "$KOKINO_HEADERS" > seen; stat -c %a "$KOKINO_HEADERS"'
    outcome = await runner.run(step(script, effect=effect), subject="playbook disk", inputs={})
    assert outcome.output == "600\n"
    token = (tmp_path / "seen").read_text().removeprefix("Authorization: Bearer ").strip()
    grant = TOKENS.check(token, now=runner.clock.now() + timedelta(minutes=14))
    assert (grant.subject, set(grant.scopes)) == ("playbook disk", scopes)


async def test_its_token_is_in_no_evidence(runner: StepRunner) -> None:
    """Though the step prints it."""
    outcome = await run(runner, 'echo "$KOKINO_TOKEN"; cat "$KOKINO_HEADERS" >&2')
    assert outcome.output == "[redacted]\n"
    assert outcome.errors == "Authorization: Bearer [redacted]\n"


async def test_a_step_over_its_timeout_is_ended_with_all_it_started(
    runner: StepRunner, tmp_path: Path
) -> None:
    """What it printed until then is kept; nothing of its tree is alive."""
    script = 'trap "" TERM; echo begun; sleep 600 & sleep 600 & wait'
    outcome = await runner.run(step(script, timeout=0.3), subject="x", inputs={})
    assert outcome == Outcome(state=StepState.TIMEOUT, exit_code=None, output="begun\n", errors="")
    assert dict(runner.warden.running) == {}


async def test_a_cancelled_step_leaves_no_process(runner: StepRunner, tmp_path: Path) -> None:
    """The broker stops: its steps stop."""
    running = asyncio.create_task(run(runner, "touch begun; sleep 600"))
    async with asyncio.timeout(PATIENCE):
        while not (tmp_path / "begun").exists():
            await asyncio.sleep(0.005)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        while runner.warden.running:
            await asyncio.sleep(0.005)
    assert list((tmp_path / "spool").iterdir()) == []


@pytest.mark.parametrize("script", ["echo out", "exit 3"])
async def test_nothing_of_a_step_stays_on_disk(runner: StepRunner, tmp_path: Path, script: str) -> None:
    """Its block, its token and its output are gone; what is kept is in the database."""
    await run(runner, script)
    assert list((tmp_path / "spool").iterdir()) == []


async def test_a_machine_without_bash_is_told_not_crashed_into(runner: StepRunner, tmp_path: Path) -> None:
    """The step has failed, and says why."""
    bare = StepRunner(
        warden=runner.warden,
        clock=runner.clock,
        ids=runner.ids,
        tokens=TOKENS,
        environment={"PATH": str(tmp_path)},
        home=tmp_path,
        spool=tmp_path / "spool",
        url="",
    )
    outcome = await run(bare, "echo out")
    assert (outcome.state, outcome.exit_code) == (StepState.FAILED, None)
    assert "bash" in outcome.errors


@pytest.mark.parametrize(
    ("printed", "kept"),
    [
        ("printf 'a\\0b\\xff'", "a\ufffdb\ufffd"),
        ("printf 'x%.0s' {1..50}", "x" * 20 + "\n[cut after 20 bytes]"),
    ],
)
async def test_evidence_is_text_of_bounded_length(
    runner: StepRunner, monkeypatch: pytest.MonkeyPatch, printed: str, kept: str
) -> None:
    """Any bytes, and however many."""
    monkeypatch.setattr(execute, "KEPT", 20)
    assert (await run(runner, printed)).output == kept
