"""Playbook runs from a firing alert to their end: real steps, virtual time, both databases."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from kokino.engine.loop import Engine
from kokino.incidents import store as incident_store
from kokino.incidents.model import EntryKind, IncidentState
from kokino.playbooks import store
from kokino.playbooks.course import Course
from kokino.playbooks.execute import StepRunner
from kokino.playbooks.library import Library
from kokino.playbooks.model import Playbook
from kokino.playbooks.module import PlaybookRuns
from kokino.playbooks.parse import parse_playbook
from kokino.playbooks.run import TRANSITIONS, Run, RunState, StepRun, StepState
from kokino.process.client import Warden
from kokino.storage import Storage
from kokino.testing.clock import ManualClock
from kokino.testing.ids import SequentialIds
from kokino.tokens import Tokens
from tests.fixtures.episodes import Episodes, incidents_of

#: Far longer than anything here takes, in real seconds.
PATIENCE = 60

DOCUMENT = """\
---
schema: kokino.playbook/v1
id: outage
alert: availability-slo-breach
severity: P1
owner: "@backend-team"
escalation: service
inputs:
  KOKINO_HOME: folder of the broker's files
  CLI_TYPE: the CLI type that fails
drill: {alert: 1m, pattern: 30s, repair: 30s, verified: 5m}
---
# Outage
## Trigger
## Impact
## Investigate
### Compare
```sh {id=by-cli effect=read timeout=10s}
cat "$KOKINO_HOME/by-cli.json"
```
## Patterns
```match {definitions}
bad      = by-cli.where(failureRate >= 0.5)
CLI_TYPE = bad.one().cliType
```
| id | evidence | match | probable cause | solution | actions |
|---|---|---|---|---|---|
| single | by-cli | `bad.count() == 1` | its login | disable it | disable |
| pair | by-cli | `bad.count() == 2` | the network | ask somebody | call |
| many | by-cli | `bad.count() >= 3` | everything | break it | breaks |
## Mitigate
### Disable the CLI type
```sh {id=disable effect=write run=auto undo=enable limit=1/1h}
echo "disable $CLI_TYPE" >> "$KOKINO_HOME/done"
```
### Call somebody
```sh {id=call effect=write run=manual}
echo "call" >> "$KOKINO_HOME/done"
```
### Break
```sh {id=breaks effect=write run=auto}
echo "it will not" >&2
exit 7
```
### Good again
```sh {id=good effect=read}
test -e "$KOKINO_HOME/good"
```
### Enable it again
```sh {id=enable effect=write run=auto after=good every=2m within=1h}
echo "enable $CLI_TYPE" >> "$KOKINO_HOME/done"
```
## Verify
### Count
```sh {id=service effect=read timeout=1s}
cat "$KOKINO_HOME/service.json"
```
```match {verified for=5m within=20m}
service.successes >= 3
```
## Escalate
## Drill
```yaml {drill}
- id: one
  pattern: single
  inject: {target: cli, kind: auth}
  expect: {end: verified}
- id: two
  pattern: pair
  inject: {target: cli, kind: network}
  expect: {end: escalated}
- id: three
  pattern: many
  inject: {target: all, kind: network}
  expect: {end: escalated}
```
"""


def playbook(text: str = DOCUMENT) -> Playbook:
    """The document above, or one that was made from it."""
    return parse_playbook(text, file="outage.md")


@dataclass
class Desk:
    """One broker's playbook runs, moved by hand."""

    home: Path
    storage: Storage
    warden: Warden
    episodes: Episodes
    clock: ManualClock
    module: PlaybookRuns

    def write(self, name: str, value: object) -> None:
        """What a step will read."""
        (self.home / f"{name}.json").write_text(json.dumps(value))

    def failing(self, *names: str) -> None:
        """So many CLI types fail."""
        rows = [{"cliType": name, "failureRate": 1.0 if name in names else 0.0} for name in ("a", "b", "c")]
        self.write("by-cli", rows)

    @property
    def done(self) -> list[str]:
        """What was changed, in order."""
        file = self.home / "done"
        return file.read_text().splitlines() if file.exists() else []

    async def outage(self) -> None:
        """An alert fires and an incident is opened."""
        await self.episodes.fire(self.clock.now())
        await incidents_of(self.storage).run(self.clock.now())

    async def forward(self, minutes: float = 0) -> None:
        """Let time pass, stopping at every instant at which a run is due."""
        target = self.clock.now() + timedelta(minutes=minutes)
        while (due := await self.work()) is not None and due <= target:
            self.clock.move_to(due)
        self.clock.move_to(target)

    async def work(self) -> datetime | None:
        """Run the module until nothing is due now; when something is."""
        async with asyncio.timeout(PATIENCE):
            while True:
                due = await self.module.run(self.clock.now())
                if not self.module.in_flight:
                    return due
                await self.module._tasks.settled()

    async def restart(self, library: Playbook | None = None) -> None:
        """Another broker takes over."""
        await self.module.stop()
        course = self.module._course
        self.module = module(self.storage, course, library or playbook())

    async def run(self) -> Run:
        """The only run."""
        [found] = await self.storage.read(lambda conn: store.of_incident(conn, 1))
        return found

    async def steps(self) -> list[StepRun]:
        """All that it has run."""
        run_id = (await self.run()).run_id
        return await self.storage.read(lambda conn: store.steps_of(conn, run_id))

    async def told(self, kind: EntryKind) -> list[str]:
        """The timeline's entries of a kind."""
        entries = await self.storage.read(lambda conn: incident_store.entries(conn, 1))
        return [entry.text for entry in entries if entry.kind is kind]


def module(storage: Storage, course: Course, document: Playbook) -> PlaybookRuns:
    """A module with one playbook, which wakes nobody."""
    library = Library(playbooks={document.id: document}, files={})
    return PlaybookRuns(storage, SequentialIds(), library, course, wake=lambda: None)


@pytest.fixture
def desk(tmp_path: Path, storage: Storage, warden: Warden, episodes: Episodes) -> Desk:
    """Nothing has happened yet; one CLI type fails, the service does not succeed."""
    clock = ManualClock()
    runner = StepRunner(
        warden=warden,
        clock=clock,
        ids=SequentialIds(),
        tokens=Tokens(b"k" * 32),
        environment={"PATH": "/usr/bin:/bin"},
        home=tmp_path,
        spool=tmp_path / "spool",
        url="",
    )
    course = Course(storage=storage, clock=clock, runner=runner)
    made = Desk(tmp_path, storage, warden, episodes, clock, module(storage, course, playbook()))
    made.failing("a")
    made.write("service", {"successes": 0})
    return made


async def test_from_the_alert_to_everything_taken_back(desk: Desk) -> None:
    """Investigated, repaired, verified over its whole window, and undone when the CLI type is good again."""
    await desk.outage()
    await desk.forward()
    assert (await desk.run()).state is RunState.VERIFYING
    assert desk.done == ["disable a"]
    desk.write("service", {"successes": 3})
    await desk.forward(minutes=4)
    assert (await desk.run()).state is RunState.VERIFYING
    await desk.forward(minutes=3)
    assert (await desk.run()).state is RunState.RESTORING
    incident = await desk.storage.read(lambda conn: incident_store.get(conn, 1))
    assert incident.state is IncidentState.MITIGATED
    await desk.forward(minutes=5)
    assert desk.done == ["disable a"]
    (desk.home / "good").touch()
    await desk.forward(minutes=2)
    assert desk.done == ["disable a", "enable a"]
    run = await desk.run()
    assert (run.state, run.pattern, dict(run.inputs)) == (RunState.SUCCEEDED, "single", {"CLI_TYPE": "a"})
    assert run.ended_at is not None
    assert len(await desk.told(EntryKind.VERIFIED)) == 1
    assert await desk.told(EntryKind.RESTORED) == ["Enable it again: done (cli type a)"]


async def test_every_step_is_evidence_with_what_ran_and_what_came(desk: Desk) -> None:
    """The commands as they stood in the document."""
    await desk.outage()
    await desk.forward()
    first, second = (await desk.steps())[:2]
    assert (first.step_id, first.section, first.state, first.exit_code) == (
        "by-cli",
        "Investigate",
        StepState.PASSED,
        0,
    )
    assert first.block.strip() == 'cat "$KOKINO_HOME/by-cli.json"'
    assert json.loads(first.output)[0] == {"cliType": "a", "failureRate": 1.0}
    assert (second.step_id, second.effect, second.state) == ("disable", "write", StepState.PASSED)


async def test_an_unknown_pattern_is_looked_for_five_times_then_handed_over(desk: Desk) -> None:
    """A minute apart; nothing is changed, and the timeline does not repeat itself."""
    desk.failing()
    await desk.outage()
    await desk.forward(minutes=3.5)
    assert (await desk.run()).state is RunState.INVESTIGATING
    assert len(await desk.steps()) == 4
    await desk.forward(minutes=10)
    assert (await desk.run()).state is RunState.ESCALATED
    assert len(await desk.steps()) == 5
    assert desk.done == []
    assert len(await desk.told(EntryKind.EVIDENCE)) == 1
    assert len(await desk.told(EntryKind.PATTERN)) == 1
    assert len(await desk.told(EntryKind.HANDED_OVER)) == 1


async def test_what_shows_itself_at_a_later_look_is_repaired(desk: Desk) -> None:
    """The first minute of an outage is often too little."""
    desk.failing()
    await desk.outage()
    await desk.forward(minutes=1.5)
    desk.failing("b")
    await desk.forward(minutes=1)
    assert desk.done == ["disable b"]


async def test_a_step_that_only_a_person_may_run_is_handed_over(desk: Desk) -> None:
    """Not run, and said so."""
    desk.failing("a", "b")
    await desk.outage()
    await desk.forward()
    assert (await desk.run()).state is RunState.ESCALATED
    assert desk.done == []
    [said] = await desk.told(EntryKind.HANDED_OVER)
    assert "Call somebody: not run, only a person may run it" in said


async def test_a_failed_action_is_handed_over_with_its_own_words(desk: Desk) -> None:
    """Nothing after it is tried."""
    desk.failing("a", "b", "c")
    await desk.outage()
    await desk.forward()
    assert (await desk.run()).state is RunState.ESCALATED
    [said] = await desk.told(EntryKind.HANDED_OVER)
    assert "Break: failed with exit code 7: it will not" in said


async def test_an_action_over_its_limit_is_handed_over(desk: Desk) -> None:
    """Once an hour: the second outage of the hour needs a person, the next hour's does not."""
    expected = [RunState.VERIFYING, RunState.ESCALATED, RunState.VERIFYING]
    for number, state in enumerate(expected, start=1):
        await desk.episodes.fire(desk.clock.now(), labels={"n": str(number)})
        await incidents_of(desk.storage).run(desk.clock.now())
        await desk.forward()
        newest = (await desk.storage.read(lambda conn: store.page(conn, skip=0, limit=1)))[0]
        assert newest.state is state, f"run {number}: {newest.reason}"
        if state is RunState.ESCALATED:
            assert newest.reason == ("Disable the CLI type: not run, it has run once in the last 1 h already")
        desk.clock.advance(minutes=31)
    assert desk.done == ["disable a"] * 2


async def test_what_does_not_get_well_in_time_is_handed_over(desk: Desk) -> None:
    """After twenty minutes of looking; the repair stays, for the service would not be better without it."""
    await desk.outage()
    await desk.forward(minutes=25)
    run = await desk.run()
    assert run.state is RunState.ESCALATED
    assert str(run.reason).startswith("Verify did not hold within 20 min")
    assert desk.done == ["disable a"]


async def test_a_repair_that_cannot_be_taken_back_is_handed_over(desk: Desk) -> None:
    """After an hour of asking whether the CLI type is good."""
    desk.write("service", {"successes": 3})
    await desk.outage()
    await desk.forward(minutes=75)
    run = await desk.run()
    assert run.state is RunState.ESCALATED
    assert run.reason == "the repair could not be taken back within 1 h"
    assert desk.done == ["disable a"]


async def test_a_step_over_its_timeout_shows_nothing(desk: Desk) -> None:
    """It is ended, kept as evidence, and the next round asks again."""
    slow = playbook(DOCUMENT.replace('cat "$KOKINO_HOME/service.json"', "sleep 600"))
    await desk.restart(slow)
    await desk.outage()
    await desk.forward()
    last = (await desk.steps())[-1]
    assert (last.step_id, last.state, last.exit_code) == ("service", StepState.TIMEOUT, None)
    assert (await desk.run()).state is RunState.VERIFYING


async def test_a_changed_document_is_not_run_further(desk: Desk) -> None:
    """Nobody approved the rest of it for this run: people take over."""
    await desk.outage()
    await desk.forward()
    await desk.restart(playbook(DOCUMENT.replace("# Outage", "# Another outage")))
    await desk.forward(minutes=10)
    run = await desk.run()
    assert run.state is RunState.ESCALATED
    assert run.reason == "the document has changed since the run began"


async def test_a_restart_goes_on_where_the_run_was(desk: Desk) -> None:
    """Nothing is run twice that changes something."""
    await desk.outage()
    await desk.forward(minutes=2)
    desk.write("service", {"successes": 3})
    await desk.restart()
    await desk.forward(minutes=6)
    assert (await desk.run()).state is RunState.RESTORING
    assert desk.done == ["disable a"]


async def test_an_action_that_ran_when_the_broker_died_is_uncertain_and_not_repeated(desk: Desk) -> None:
    """Whether it took effect is for Verify to see."""
    waits = playbook(
        DOCUMENT.replace('echo "disable $CLI_TYPE" >> "$KOKINO_HOME/done"', "touch begun; sleep 600")
    )
    await desk.restart(waits)
    await desk.outage()
    async with asyncio.timeout(PATIENCE):
        while not (desk.home / "begun").exists():
            await desk.module.run(desk.clock.now())
            await asyncio.sleep(0.005)
    await desk.restart(waits)
    (desk.home / "begun").unlink()
    await desk.forward()
    states = [(step.step_id, step.state) for step in await desk.steps()]
    assert states[1] == ("disable", StepState.UNCERTAIN)
    assert (await desk.run()).state is RunState.VERIFYING
    assert not (desk.home / "begun").exists()


async def test_a_planned_restart_lets_an_action_end_first(desk: Desk) -> None:
    """A repair is not cut in half: the next broker finds it done, and verifies it."""
    waits = playbook(
        DOCUMENT.replace(
            'echo "disable $CLI_TYPE" >> "$KOKINO_HOME/done"',
            'touch begun; until test -e go; do sleep 0.01; done; echo "disable $CLI_TYPE" >> done',
        )
    )
    await desk.restart(waits)
    await desk.outage()
    engine = Engine(desk.clock, [desk.module])
    await engine.start()
    async with asyncio.timeout(PATIENCE):
        while not (desk.home / "begun").exists():
            engine.wake()  # the module of these tests wakes nobody
            await asyncio.sleep(0.005)
        settling = asyncio.create_task(engine.settle(timedelta(seconds=PATIENCE)))
        await asyncio.sleep(0)
        (desk.home / "go").touch()
        await settling
    await engine.stop()
    await desk.restart(waits)
    await desk.forward()
    assert desk.done == ["disable a"]
    states = [(step.step_id, step.state) for step in await desk.steps()]
    assert states[1] == ("disable", StepState.PASSED)
    assert (await desk.run()).state is RunState.VERIFYING


async def test_an_outage_without_a_playbook_has_no_run(desk: Desk) -> None:
    """And an incident has one run, however often the module looks."""
    await desk.episodes.fire(desk.clock.now(), rule_id="circuit-breaker-opened")
    await incidents_of(desk.storage).run(desk.clock.now())
    await desk.forward(minutes=1)
    assert await desk.storage.read(store.unfinished) == []


async def test_only_the_table_of_transitions_lets_a_state_change(desk: Desk) -> None:
    """Every change that it does not name is a bug, raises, and changes nothing."""
    await desk.outage()
    await desk.work()
    run = await desk.run()
    assert run.state is RunState.VERIFYING

    def move(conn: Connection) -> None:
        store.move(conn, run.run_id, to, reason="x", now=desk.clock.now())

    for to in set(RunState) - TRANSITIONS[RunState.VERIFYING]:
        with pytest.raises(ValueError, match=f"cannot become {to.value}: it is not"):
            await desk.storage.write(move)
    assert await desk.run() == replace(run)


def test_every_end_can_be_reached_and_nothing_leaves_it() -> None:
    """And every other state can be handed to people."""
    ends = {state for state in RunState if state.is_end}
    assert ends == set(RunState) - set(TRANSITIONS)
    assert all(RunState.ESCALATED in following for following in TRANSITIONS.values())
