"""Take a playbook run one stage further: investigate, mitigate, verify, take back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from kokino.clock import Clock
from kokino.incidents import store as incident_store
from kokino.incidents.model import BROKER, EntryKind, IncidentState, incident_id
from kokino.playbooks import store, words
from kokino.playbooks.execute import StepRunner
from kokino.playbooks.model import Await, Pattern, Playbook, RunMode, Section, Step
from kokino.playbooks.patterns import Match, choose
from kokino.playbooks.run import Outcome, Run, RunState, StepRun, StepState
from kokino.playbooks.verify import VerifyState, judge
from kokino.storage import Storage

#: What the first minute of an outage shows is often too little to tell one cause from another, so it is
#: looked at again while the page is on its way; a person at the keyboard would do the same.
LOOK_AGAIN = timedelta(minutes=1)
LOOKS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Runs the stages of playbook runs. Each leaves its result in the database before the next begins."""

    storage: Storage
    clock: Clock
    runner: StepRunner

    async def advance(self, run: Run, playbook: Playbook) -> None:
        """Do what the run's state asks for."""
        match run.state:
            case RunState.INVESTIGATING:
                await self._investigate(run, playbook)
            case RunState.MITIGATING:
                await self._mitigate(run, playbook)
            case RunState.VERIFYING:
                await self._verify(run, playbook)
            case RunState.RESTORING:
                await self._restore(run, playbook)

    async def _investigate(self, run: Run, playbook: Playbook) -> None:
        """Run every Investigate step, then choose the pattern that they show."""
        steps = [await self._step(run, step) for step in playbook.steps_in(Section.INVESTIGATE)]
        found = choose(playbook, {step.step_id: step.result for step in steps})
        looks = await self._looks(run, playbook)
        if looks == 1:
            await self._tell(run, EntryKind.EVIDENCE, words.investigated(steps))
        if found.pattern is not None:
            await self.storage.write(partial(self._recognise, run=run, playbook=playbook, found=found))
        elif looks < LOOKS:
            await self._postpone(run, LOOK_AGAIN, reason=f"{found.reason}; looking again")
        else:
            await self.storage.write(partial(self._do_not_know, run=run, playbook=playbook, found=found))

    def _recognise(self, conn: Connection, run: Run, playbook: Playbook, found: Match) -> None:
        now = self.clock.now()
        text, data = words.recognised(playbook, found)
        self._append(conn, run, EntryKind.PATTERN, text, data, now=now)
        pattern = None if found.pattern is None else found.pattern.id
        store.move(
            conn,
            run.run_id,
            RunState.MITIGATING,
            reason=found.reason,
            now=now,
            pattern=pattern,
            inputs={**run.inputs, **found.inputs},
        )

    def _do_not_know(self, conn: Connection, run: Run, playbook: Playbook, found: Match) -> None:
        now = self.clock.now()
        text, data = words.unknown(playbook, found)
        self._append(conn, run, EntryKind.PATTERN, text, data, now=now)
        self._hand_over(conn, run, found.reason, now=now)

    async def _mitigate(self, run: Run, playbook: Playbook) -> None:
        """Run the pattern's actions, in order, each once; stop at the first that does not work."""
        begun = {step.step_id for step in await self._steps(run)}
        for step_id in _pattern(run, playbook).actions:
            step = playbook.step(step_id)
            if step.id in begun:
                continue  # an earlier broker began it: whether it took effect is for Verify to see
            if why_not := await self._why_not(playbook, step):
                await self._give_up(run, f"{step.title}: not run, {why_not}")
                return
            if not await self._act(run, step, EntryKind.ACTION):
                return
        now = self.clock.now()
        await self.storage.write(
            lambda conn: store.move(
                conn, run.run_id, RunState.VERIFYING, reason="waiting for Verify", now=now, verifying_at=now
            )
        )

    async def _verify(self, run: Run, playbook: Playbook) -> None:
        """Run a round of the Verify steps and judge it."""
        steps = [await self._step(run, step) for step in playbook.steps_in(Section.VERIFY)]
        judged = judge(
            playbook.verify,
            {step.step_id: step.result for step in steps},
            acted_at=_acted_at(run),
            now=self.clock.now(),
        )
        match judged.state:
            case VerifyState.EXPIRED:
                within = words.minutes(playbook.verify.within)
                await self._give_up(run, f"Verify did not hold within {within}: {judged.reason}")
            case VerifyState.WAITING:
                await self._postpone(run, playbook.verify.every, reason=judged.reason)
            case VerifyState.VERIFIED:
                text = f"Verified over {words.minutes(playbook.verify.window)}: {judged.reason}"
                await self.storage.write(partial(self._verified, run=run, playbook=playbook, text=text))

    def _verified(self, conn: Connection, run: Run, playbook: Playbook, text: str) -> None:
        now = self.clock.now()
        self._append(conn, run, EntryKind.VERIFIED, text, now=now)
        if incident_store.get(conn, run.incident).state is IncidentState.OPEN:
            told = "Mitigated: the repair holds; no further tier is told."
            incident_store.mitigate(conn, run.incident, at=now, author=BROKER, text=told)
        to = RunState.RESTORING if _undos(run, playbook) else RunState.SUCCEEDED
        store.move(conn, run.run_id, to, reason="verified", now=now)

    async def _restore(self, run: Run, playbook: Playbook) -> None:
        """Take back what was switched over, as soon as what each undo waits for is true."""
        done = {step.step_id for step in await self._steps(run) if step.state is StepState.PASSED}
        waits: list[Await] = []
        ready: dict[str, bool] = {}
        for undo in _undos(run, playbook):
            if undo.id in done:
                continue
            if undo.after is not None and not await self._is_ready(run, playbook, undo.after, ready):
                waits.append(undo.after)
            elif not await self._act(run, undo, EntryKind.RESTORED):
                return
        await self._wait_or_succeed(run, waits)

    async def _is_ready(self, run: Run, playbook: Playbook, wait: Await, ready: dict[str, bool]) -> bool:
        """Whether what an undo waits for is true; each such step runs once a round."""
        if wait.step_id not in ready:
            ran = await self._step(run, playbook.step(wait.step_id))
            ready[wait.step_id] = ran.state is StepState.PASSED
        return ready[wait.step_id]

    async def _wait_or_succeed(self, run: Run, waits: Sequence[Await]) -> None:
        now = self.clock.now()
        if late := [wait for wait in waits if now - _acted_at(run) >= wait.within]:
            within = words.minutes(late[0].within)
            await self._give_up(run, f"the repair could not be taken back within {within}")
        elif waits:
            every = min(wait.every for wait in waits)
            await self._postpone(run, every, reason="waiting to take the repair back")
        else:
            reason = "verified, and everything taken back"
            await self.storage.write(
                lambda conn: store.move(conn, run.run_id, RunState.SUCCEEDED, reason=reason, now=now)
            )

    async def _act(self, run: Run, step: Step, kind: EntryKind) -> bool:
        """Run a step that changes something and tell of it; hand over and return False if it fails."""
        entry, outcome = await self._ran(run, step)

        def write(conn: Connection) -> bool:
            # One transaction: a crash must not leave a step that failed and a run that goes on.
            now = self.clock.now()
            ran = store.end_step(conn, entry, outcome, now=now)
            text = f"{step.title}: {words.how(ran)}{words.inputs_of(step, run.inputs)}"
            self._append(conn, run, kind, text, {"step": step.id, "state": ran.state.value}, now=now)
            if ran.state is not StepState.PASSED:
                self._hand_over(conn, run, f"{step.title}: {words.how(ran)}", now=now)
            return ran.state is StepState.PASSED

        return await self.storage.write(write)

    async def _why_not(self, playbook: Playbook, step: Step) -> str | None:
        """Why the broker may not run an action by itself, or None."""
        if step.run is not RunMode.AUTO:
            return "only a person may run it"
        if step.limit is None:
            return None
        now = self.clock.now()
        since = now - step.limit.per
        past = await self.storage.read(lambda conn: store.past_runs(conn, playbook.id, step.id, since=since))
        if step.limit.allows(past, now):
            return None
        times = "once" if len(past) == 1 else f"{len(past)} times"
        return f"it has run {times} in the last {words.minutes(step.limit.per)} already"

    async def _step(self, run: Run, step: Step) -> StepRun:
        """Run one step, with its start and its end in the database."""
        entry, outcome = await self._ran(run, step)
        ended = self.clock.now()
        return await self.storage.write(lambda conn: store.end_step(conn, entry, outcome, now=ended))

    async def _ran(self, run: Run, step: Step) -> tuple[int, Outcome]:
        """Run a step whose start is written down and whose end is the caller's to write."""
        began = self.clock.now()
        entry = await self.storage.write(lambda conn: store.begin_step(conn, run.run_id, step, now=began))
        return entry, await self.runner.run(step, subject=f"playbook {run.playbook_id}", inputs=_inputs(run))

    async def _steps(self, run: Run) -> list[StepRun]:
        return await self.storage.read(lambda conn: store.steps_of(conn, run.run_id))

    async def _looks(self, run: Run, playbook: Playbook) -> int:
        """How often the whole of Investigate has been run by now."""
        last = playbook.steps_in(Section.INVESTIGATE)[-1].id
        return sum(step.step_id == last for step in await self._steps(run))

    async def _postpone(self, run: Run, length: timedelta, *, reason: str) -> None:
        due_at = self.clock.now() + length
        await self.storage.write(lambda conn: store.postpone(conn, run.run_id, due_at=due_at, reason=reason))

    async def _give_up(self, run: Run, reason: str) -> None:
        now = self.clock.now()
        await self.storage.write(lambda conn: self._hand_over(conn, run, reason, now=now))

    def _hand_over(self, conn: Connection, run: Run, reason: str, *, now: datetime) -> None:
        """Hand over to people: somebody new hears of it, or those who look after it do."""
        self._append(conn, run, EntryKind.HANDED_OVER, f"The playbook can do no more: {reason}", now=now)
        store.move(conn, run.run_id, RunState.ESCALATED, reason=reason, now=now)

    async def _tell(self, run: Run, kind: EntryKind, text: str) -> None:
        now = self.clock.now()
        await self.storage.write(lambda conn: self._append(conn, run, kind, text, now=now))

    def _append(
        self,
        conn: Connection,
        run: Run,
        kind: EntryKind,
        text: str,
        data: Mapping[str, object] | None = None,
        *,
        now: datetime,
    ) -> None:
        incident_store.append(conn, run.incident, at=now, kind=kind, author=BROKER, text=text, data=data)


def _pattern(run: Run, playbook: Playbook) -> Pattern:
    return playbook.pattern(str(run.pattern))


def _acted_at(run: Run) -> datetime:
    return run.verifying_at or run.started_at


def _undos(run: Run, playbook: Playbook) -> list[Step]:
    """What takes the run's actions back, the last action first."""
    undos = [playbook.step(step_id).undo for step_id in reversed(_pattern(run, playbook).actions)]
    return [playbook.step(undo) for undo in undos if undo is not None]


def _inputs(run: Run) -> dict[str, str]:
    return {**run.inputs, "ALERT_ID": run.alert_id, "INCIDENT_ID": incident_id(run.incident)}
