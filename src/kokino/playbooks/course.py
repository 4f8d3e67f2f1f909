"""Take a playbook run one stage further: investigate, mitigate, verify, take back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from kokino.clock import Clock
from kokino.incidents import store as incident_store
from kokino.incidents.model import BROKER, EntryKind, IncidentState, incident_id
from kokino.incidents.model import Pattern as Recognised
from kokino.playbooks import store
from kokino.playbooks.execute import StepRunner
from kokino.playbooks.model import Pattern, Playbook, RunMode, Section, Step
from kokino.playbooks.patterns import Match, Verdict, choose
from kokino.playbooks.run import Outcome, Run, RunState, StepRun, StepState
from kokino.playbooks.verify import VerifyState, judge
from kokino.storage import Storage

#: What the first minute of an outage shows is often too little to tell one cause from another, so it is looked at
#: again while the page is on its way; a person at the keyboard would do the same.
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
        await self.storage.write(lambda conn: self._conclude(conn, run, playbook, steps, found, looks))

    def _conclude(
        self, conn: Connection, run: Run, playbook: Playbook, steps: list[StepRun], found: Match, looks: int
    ) -> None:
        now = self.clock.now()
        if found.pattern is None and looks < LOOKS:
            if looks == 1:
                self._tell(conn, run, EntryKind.EVIDENCE, _investigated(steps), {"steps": _names(steps)})
            again = f"{found.reason}; looking again"
            store.postpone(conn, run.run_id, due_at=now + LOOK_AGAIN, reason=again)
            return
        if found.pattern is not None and looks == 1:
            self._tell(conn, run, EntryKind.EVIDENCE, _investigated(steps), {"steps": _names(steps)})
        self._tell(conn, run, EntryKind.PATTERN, *_recognised(playbook, found))
        if found.pattern is None:
            store.move(conn, run.run_id, RunState.ESCALATED, reason=found.reason, now=now)
            return
        store.move(
            conn,
            run.run_id,
            RunState.MITIGATING,
            reason=found.reason,
            now=now,
            pattern=found.pattern.id,
            inputs=dict(found.inputs),
        )

    async def _mitigate(self, run: Run, playbook: Playbook) -> None:
        """Run the pattern's actions, in order, each once; stop at the first that does not work."""
        done = {step.step_id: step for step in await self._steps(run)}
        for step_id in _pattern(run, playbook).actions:
            step = playbook.step(step_id)
            if step_id in done and done[step_id].section == Section.MITIGATE:
                continue  # a broker before us ran it
            if why_not := await self._why_not(run, playbook, step):
                await self._give_up(run, f"{step.title}: not run, {why_not}")
                return
            ran = await self._step(run, step)
            await self._tell_action(run, step, ran)
            if ran.state is not StepState.PASSED:
                await self._give_up(run, f"{step.title}: {_how(ran)}")
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
        now = self.clock.now()
        results = {step.step_id: step.result for step in steps}
        judged = judge(playbook.verify, results, acted_at=run.verifying_at or run.started_at, now=now)
        if judged.state is VerifyState.EXPIRED:
            await self._give_up(
                run, f"Verify did not hold within {_minutes(playbook.verify.within)}: {judged.reason}"
            )
        elif judged.state is VerifyState.WAITING:
            due = now + playbook.verify.every
            await self.storage.write(
                lambda conn: store.postpone(conn, run.run_id, due_at=due, reason=judged.reason)
            )
        else:
            await self.storage.write(lambda conn: self._verified(conn, run, playbook, judged.reason))

    def _verified(self, conn: Connection, run: Run, playbook: Playbook, found: str) -> None:
        now = self.clock.now()
        self._tell(
            conn, run, EntryKind.VERIFIED, f"Verified over {_minutes(playbook.verify.window)}: {found}"
        )
        if incident_store.get(conn, run.incident).state is IncidentState.OPEN:
            text = "Mitigated: the repair holds; no further tier is told."
            incident_store.mitigate(conn, run.incident, at=now, author=BROKER, text=text)
        to = RunState.RESTORING if _undos(run, playbook) else RunState.SUCCEEDED
        store.move(conn, run.run_id, to, reason="verified", now=now)

    async def _restore(self, run: Run, playbook: Playbook) -> None:
        """Take back what was switched over, as soon as what each waits for is true."""
        done = {step.step_id for step in await self._steps(run) if step.state is StepState.PASSED}
        checked: dict[str, bool] = {}
        waits: list[timedelta] = []
        for undo in _undos(run, playbook):
            if undo.id in done:
                continue
            if undo.after is not None:
                if undo.after.step_id not in checked:
                    ran = await self._step(run, playbook.step(undo.after.step_id))
                    checked[undo.after.step_id] = ran.state is StepState.PASSED
                if not checked[undo.after.step_id]:
                    if self.clock.now() - (run.verifying_at or run.started_at) >= undo.after.within:
                        await self._give_up(
                            run, f"{undo.title}: not possible within {_minutes(undo.after.within)}"
                        )
                        return
                    waits.append(undo.after.every)
                    continue
            ran = await self._step(run, undo)
            await self._tell_restored(run, undo, ran)
            if ran.state is not StepState.PASSED:
                await self._give_up(run, f"{undo.title}: {_how(ran)}")
                return
        await self.storage.write(lambda conn: self._wait_or_succeed(conn, run, waits))

    def _wait_or_succeed(self, conn: Connection, run: Run, waits: list[timedelta]) -> None:
        now = self.clock.now()
        if waits:
            store.postpone(
                conn, run.run_id, due_at=now + min(waits), reason="waiting to take the repair back"
            )
        else:
            store.move(
                conn, run.run_id, RunState.SUCCEEDED, reason="verified, and everything taken back", now=now
            )

    async def _why_not(self, run: Run, playbook: Playbook, step: Step) -> str | None:
        """Why the broker may not run an action by itself, or None."""
        if step.run is not RunMode.AUTO:
            return "only a person may run it"
        if step.limit is None:
            return None
        since = self.clock.now() - step.limit.per
        past = await self.storage.read(lambda conn: store.past_runs(conn, playbook.id, step.id, since=since))
        if step.limit.allows(past, self.clock.now()):
            return None
        return f"it has run {len(past)} times in the last {_minutes(step.limit.per)} already"

    async def _step(self, run: Run, step: Step) -> StepRun:
        """Run one step, with its start and its end in the database."""
        entry = await self.storage.write(
            lambda conn: store.begin_step(conn, run.run_id, step, now=self.clock.now())
        )
        outcome = await self.runner.run(step, subject=f"playbook {run.playbook_id}", inputs=_inputs(run))
        return await self._ended(entry, outcome)

    async def _ended(self, entry: int, outcome: Outcome) -> StepRun:
        now = self.clock.now()
        return await self.storage.write(lambda conn: store.end_step(conn, entry, outcome, now=now))

    async def _steps(self, run: Run) -> list[StepRun]:
        return await self.storage.read(lambda conn: store.steps_of(conn, run.run_id))

    async def _looks(self, run: Run, playbook: Playbook) -> int:
        """How often the whole of Investigate has been run by now."""
        first = playbook.steps_in(Section.INVESTIGATE)[0].id
        return sum(step.step_id == first for step in await self._steps(run))

    async def _tell_action(self, run: Run, step: Step, ran: StepRun) -> None:
        text = f"{step.title}: {_how(ran)}{_with(run, step)}"
        data = {"step": step.id, "state": ran.state.value, "inputs": dict(run.inputs)}
        await self.storage.write(lambda conn: self._tell(conn, run, EntryKind.ACTION, text, data))

    async def _tell_restored(self, run: Run, step: Step, ran: StepRun) -> None:
        text = f"{step.title}: {_how(ran)}{_with(run, step)}"
        data = {"step": step.id, "state": ran.state.value}
        await self.storage.write(lambda conn: self._tell(conn, run, EntryKind.RESTORED, text, data))

    async def _give_up(self, run: Run, reason: str) -> None:
        """Hand over to people."""

        def write(conn: Connection) -> None:
            self._tell(conn, run, EntryKind.NOTE, f"The playbook can do no more. {reason}")
            store.move(conn, run.run_id, RunState.ESCALATED, reason=reason, now=self.clock.now())

        await self.storage.write(write)

    def _tell(
        self, conn: Connection, run: Run, kind: EntryKind, text: str, data: Mapping[str, object] | None = None
    ) -> None:
        incident_store.append(
            conn, run.incident, at=self.clock.now(), kind=kind, author=BROKER, text=text, data=data
        )


def _pattern(run: Run, playbook: Playbook) -> Pattern:
    return playbook.pattern(str(run.pattern))


def _undos(run: Run, playbook: Playbook) -> list[Step]:
    """What takes the run's actions back, the last action first."""
    undos = [playbook.step(step_id).undo for step_id in reversed(_pattern(run, playbook).actions)]
    return [playbook.step(undo) for undo in undos if undo is not None]


def _inputs(run: Run) -> dict[str, str]:
    return {**run.inputs, "ALERT_ID": run.alert_id, "INCIDENT_ID": incident_id(run.incident)}


def _recognised(playbook: Playbook, found: Match) -> tuple[str, dict[str, object]]:
    considered = [
        {"pattern": one.pattern_id, "verdict": one.verdict.value, "why": one.why} for one in found.considered
    ]
    if found.pattern is None:
        data = Recognised(pattern=None, playbook=playbook.id).to_data()
        return f"Cause unknown: {found.reason}. Nothing was changed.", {**data, "considered": considered}
    why = next(
        one.why
        for one in found.considered
        if one.verdict is Verdict.MATCHED and one.pattern_id == found.pattern.id
    )
    recognised = Recognised(
        pattern=found.pattern.id,
        cause=found.pattern.probable_cause,
        cli_type=found.inputs.get("CLI_TYPE"),
        account=found.inputs.get("ACCOUNT"),
        agent_id=found.inputs.get("AGENT_ID"),
        kind=found.inputs.get("KIND"),
        playbook=playbook.id,
    )
    text = f"Recognised {found.pattern.id}: {found.pattern.probable_cause}. {found.pattern.solution}."
    return text, {**recognised.to_data(), "why": why, "considered": considered}


def _investigated(steps: list[StepRun]) -> str:
    failed = [f"{step.step_id} ({_how(step)})" for step in steps if step.state is not StepState.PASSED]
    if failed:
        return f"Investigated: {len(steps) - len(failed)} of {len(steps)} steps answered; not {', '.join(failed)}"
    return f"Investigated: all {len(steps)} steps of the playbook answered"


def _names(steps: list[StepRun]) -> list[dict[str, object]]:
    return [{"step": step.step_id, "state": step.state.value, "exitCode": step.exit_code} for step in steps]


def _how(ran: StepRun) -> str:
    match ran.state:
        case StepState.PASSED:
            return "done"
        case StepState.TIMEOUT:
            return "stopped at its timeout"
        case _:
            said = (ran.errors or ran.output).strip().splitlines()
            last = f": {said[-1][:200]}" if said else ""
            return f"failed with exit code {ran.exit_code}{last}"


def _with(run: Run, step: Step) -> str:
    """The values that the step read, for the timeline: `` (CLI_TYPE claude-code, TARGET gemini)``."""
    read = [f"{name} {run.inputs[name]}" for name in sorted(step.inputs & run.inputs.keys())]
    return f" ({', '.join(read)})" if read else ""


def _minutes(length: timedelta) -> str:
    minutes = int(length.total_seconds() // 60)
    return f"{minutes // 60} h" if minutes and minutes % 60 == 0 else f"{minutes} min"
