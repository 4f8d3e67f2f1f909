"""A database in the middle of an outage, filled through the stores, and the pages over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

from fastapi import FastAPI
from sqlalchemy import Connection

from kokino import web
from kokino.agents import store as agent_store
from kokino.agents import traffic_store
from kokino.agents.failures import FailureKind
from kokino.agents.model import Agent, CliType, Fallback, Pause
from kokino.agents.model import Scope as PauseScope
from kokino.alerts import rulefile
from kokino.alerts import store as alert_store
from kokino.alerts.model import Alert, Phase, Transition, fingerprint
from kokino.api import problems
from kokino.escalation import store as escalation_store
from kokino.escalation.model import Escalation, EscalationState
from kokino.executions import store as execution_store
from kokino.executions.model import Ending, Execution, State
from kokino.executions.probes import WANTED
from kokino.incidents import store as incident_store
from kokino.incidents.model import BROKER, EntryKind
from kokino.notify import store as outbox
from kokino.notify.model import Action, DeliveryState, Message, Outcome, Receipt, Severity
from kokino.notify.retry import Verdict
from kokino.notify.settings import PagerDutyReceiver, Routing, SlackReceiver
from kokino.playbooks import store as run_store
from kokino.playbooks.library import load_library
from kokino.playbooks.run import Outcome as StepOutcome
from kokino.playbooks.run import StepState
from kokino.slo.defaults import defaults
from kokino.storage import Storage
from kokino.telemetry import store as telemetry
from kokino.telemetry.model import END_TYPES, Event
from kokino.testing.clock import ManualClock

#: What an agent might say to whoever reads the dashboard.
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
ALERT, EPISODE, RUN = "alert-1", "episode-1", "run-1"
CLI_TYPES = {
    name: CliType(name=name, driver="scripted", command=(name,))
    for name in ("claude-code", "codex", "gemini")
}
AGENTS = {
    "docs-writer": "claude-code",
    "refactorer": "claude-code",
    "translator": "claude-code",
    "planner": "codex",
    "reviewer": "codex",
    "triage": "gemini",
}
ROUTING = Routing(
    receivers={
        "headless": SlackReceiver(webhook_url="http://127.0.0.1:9/hook", channel="#headless-alerts"),
        "oncall": PagerDutyReceiver(url="http://127.0.0.1:9", routing_key="not-a-key"),
    },
    owners={},
)


@dataclass(slots=True)
class Outage:
    """Fills `storage`, with the present at the clock's time."""

    storage: Storage
    clock: ManualClock = field(default_factory=ManualClock)

    def app(self) -> FastAPI:
        """The pages, over this database."""
        app = FastAPI()
        app.state.services = SimpleNamespace(
            storage=self.storage,
            clock=self.clock,
            cli_types=CLI_TYPES,
            objectives=defaults(),
            rules={rule.id: rule for rule in rulefile.packaged()},
            playbooks=load_library(),
            desk=SimpleNamespace(routing=ROUTING),
            probes=SimpleNamespace(wanted=WANTED),
            public_url="http://127.0.0.1:5050",
        )
        problems.install(app)
        web.mount(app)
        return app

    async def force(self, target: str) -> None:
        """reviewer, which alone hangs, is sent somewhere else."""
        await self.storage.write(lambda conn: traffic_store.force(conn, self._forced(target)))

    async def agents(self) -> None:
        """Six agents on three CLI types."""

        def write(conn: Connection) -> None:
            for agent_id, cli_type in AGENTS.items():
                agent_store.put(conn, self._agent(agent_id, cli_type))

        await self.storage.write(write)

    async def traffic(self, *, per_minute: int = 3, minutes: int = 60, failing_for: int = 12) -> None:
        """Executions of the last hour: of claude-code, all fail in the last `failing_for` minutes."""

        def write(conn: Connection) -> None:
            for minute in range(minutes, 0, -1):
                for number in range(per_minute):
                    agent_id = list(AGENTS)[(minute * 5 + number) % len(AGENTS)]
                    is_bad = AGENTS[agent_id] == "claude-code" and minute <= failing_for
                    self._event(conn, agent_id, minute * 60 - number * 7, is_bad=is_bad)

        await self.storage.write(write)

    async def executions(self) -> None:
        """Some that ended in their several ways, one that runs, one that waits."""

        def write(conn: Connection) -> None:
            for number, (agent_id, state, kind, error) in enumerate(ENDED):
                name, age = f"exec-{number:04}-7f3a", 400 - number * 24
                self.execution(conn, name, agent_id, seconds_ago=age, state=state, kind=kind, error=error)
            running, waiting = State.RUNNING, State.QUEUED
            self.execution(conn, "exec-0100-run1", "reviewer", seconds_ago=21, state=running)
            self.execution(
                conn, "exec-0101-run2", "docs-writer", seconds_ago=9, state=running, moved_from="claude-code"
            )
            self.execution(conn, "exec-0102-wait", "reviewer", seconds_ago=4, state=waiting)

        await self.storage.write(write)

    async def disable(self, *, good_probes: int = 1) -> None:
        """claude-code is out of use and its account is paused."""
        now = self.clock.now()

        def write(conn: Connection) -> None:
            traffic_store.disable(
                conn,
                Fallback(
                    cli_type="claude-code",
                    reason="P1: Availability SLO breach, most failures are auth",
                    since=now - timedelta(minutes=6),
                    target="codex",
                    set_by="playbook availability-slo-breach",
                    probe_due_at=now + timedelta(seconds=40),
                    probes_good=good_probes,
                    probe_last_at=now - timedelta(seconds=20),
                    probe_last_outcome="completed",
                ),
            )
            traffic_store.force(conn, self._forced("tmux"))
            traffic_store.pause(
                conn,
                Pause(
                    scope=PauseScope.ACCOUNT,
                    scope_id="team-a",
                    reason="P1: Availability SLO breach, auth",
                    since=now - timedelta(minutes=6),
                    set_by="playbook availability-slo-breach",
                ),
            )

        await self.storage.write(write)

    async def alert(self, *, state: Phase = Phase.FIRING, reason: str | None = None) -> None:
        """The availability alert, for seven minutes by now."""
        fired_at = self.clock.now() - timedelta(minutes=7)
        said = reason or "availability 93.33 % over 1 h is under 99 % (12 of 180 executions failed)"
        alert = Alert(
            alert_id=ALERT,
            rule_id="availability-slo-breach",
            fingerprint=fingerprint("availability-slo-breach", {"slo": "availability"}),
            labels={"slo": "availability"},
            state=state,
            episode_id=EPISODE,
            since=fired_at,
            firing_at=fired_at,
            measured={"reason": said},
        )
        change = Transition(
            alert_id=ALERT,
            episode_id=EPISODE,
            at=fired_at,
            from_state=Phase.INACTIVE,
            to_state=state,
            reason=said,
            measured={},
        )
        await self.storage.write(lambda conn: alert_store.save(conn, alert, change))

    async def incident(self) -> int:
        """The alert's incident, with what the playbook did; its number."""
        fired_at = self.clock.now() - timedelta(minutes=7)

        def write(conn: Connection) -> int:
            opened = incident_store.open_incident(
                conn,
                rule_id="availability-slo-breach",
                labels={"slo": "availability"},
                title="Availability SLO breach",
                severity="P1",
                owner="@backend-team",
                opened_at=fired_at,
                now=fired_at,
            )
            incident_store.join(conn, opened.number, episode_id=EPISODE, alert_id=ALERT)
            self._tell(conn, opened.number)
            self._escalate(conn, opened.number)
            return opened.number

        return await self.storage.write(write)

    async def note(self, number: int, text: str, author: str = "mika") -> None:
        """A person writes into the timeline."""
        now = self.clock.now()
        await self.storage.write(
            lambda conn: incident_store.note(conn, number, at=now, author=author, text=text)
        )

    def _forced(self, target: str) -> Fallback:
        return Fallback(
            agent_id="reviewer",
            cli_type="codex",
            reason="it alone hangs",
            since=self.clock.now() - timedelta(minutes=2),
            target=target,
            set_by="ada",
        )

    def _agent(self, agent_id: str, cli_type: str) -> Agent:
        return Agent(
            agent_id=agent_id,
            cli_type=cli_type,
            cwd=Path("/srv") / agent_id,
            account="team-a" if cli_type == "claude-code" else f"{cli_type}:~",
            registered_at=self.clock.now() - timedelta(hours=2),
        )

    def _event(self, conn: Connection, agent_id: str, seconds_ago: int, *, is_bad: bool) -> None:
        state = State.FAILED if is_bad else State.COMPLETED
        telemetry.append(
            conn,
            Event(
                type=END_TYPES[state],
                at=self.clock.now() - timedelta(seconds=seconds_ago),
                agent_id=agent_id,
                cli_type=AGENTS[agent_id],
                kind="auth" if is_bad else None,
                duration_ms=900 if is_bad else 2_000 + seconds_ago * 37 % 21_000,
            ),
        )

    def execution(
        self,
        conn: Connection,
        execution_id: str,
        agent_id: str,
        *,
        seconds_ago: int,
        state: State,
        kind: FailureKind | None = None,
        error: str | None = None,
        moved_from: str | None = None,
    ) -> None:
        """One execution, accepted so long ago."""
        at = self.clock.now() - timedelta(seconds=seconds_ago)
        cli_type = "codex" if moved_from else AGENTS[agent_id]
        accepted = execution_store.accept(
            conn,
            Execution(
                execution_id=execution_id,
                number=0,
                agent_id=agent_id,
                cli_type=cli_type,
                account="team-a",
                mode="headless",
                pool="default",
                state=State.QUEUED,
                prompt="Say hello.",
                timeout=timedelta(minutes=5),
                queue_timeout=timedelta(minutes=5),
                queued_at=at,
            ),
        )
        if state in {State.QUEUED, State.REFUSED}:
            if state is State.REFUSED:
                execution_store.end(conn, execution_id, Ending(state=state, kind=kind, error=error), now=at)
            return
        execution_store.start(
            conn,
            accepted,
            cli_type=cli_type,
            account="team-a",
            mode="headless",
            moved_from=moved_from,
            conversation_id=f"conversation-{agent_id}",
            session_id="session",
            driver="scripted",
            is_resume=False,
            lock_token=1,
            now=at,
        )
        if state is not State.RUNNING:
            took = timedelta(milliseconds=900 if kind else 4_000 + seconds_ago * 31 % 9_000)
            execution_store.end(
                conn, execution_id, Ending(state=state, kind=kind, error=error), now=at + took
            )

    def _tell(self, conn: Connection, number: int) -> None:
        fired_at = self.clock.now() - timedelta(minutes=7)

        def append(seconds: int, kind: EntryKind, text: str, **data: object) -> None:
            at = fired_at + timedelta(seconds=seconds)
            incident_store.append(conn, number, at=at, kind=kind, author=BROKER, text=text, data=data or None)

        append(
            0,
            EntryKind.FIRED,
            "Alert fired: availability 98.33 % over 1 h is under 99 % (3 of 180 executions failed)",
        )
        append(1, EntryKind.PAGED, "@backend-team paged by oncall and told by headless", tier=0, round=0)
        playbook = load_library().get("availability-slo-breach")
        run_store.begin(
            conn, RUN, playbook, alert_id=ALERT, episode_id=EPISODE, incident=number, inputs={}, now=fired_at
        )
        for at, step_id, code, output in STEPS:
            entry = run_store.begin_step(
                conn, RUN, playbook.step(step_id), now=fired_at + timedelta(seconds=at)
            )
            state = StepState.FAILED if code else StepState.PASSED
            ran = StepOutcome(state=state, exit_code=code, output=output, errors="")
            run_store.end_step(conn, entry, ran, now=fired_at + timedelta(seconds=at, milliseconds=140))
        looked = sum(at < 7 for at, *_ in STEPS)
        append(6, EntryKind.EVIDENCE, f"Investigated: all {looked} steps of the playbook answered")
        append(
            7,
            EntryKind.PATTERN,
            "Recognised single-cli-account: The login has expired, or the quota is used up. "
            "Move the agents, park the account, renew the login.",
            pattern="single-cli-account",
            considered=CONSIDERED,
        )
        append(
            8,
            EntryKind.ACTION,
            "Move the agents to a healthy CLI type: done (CLI_TYPE claude-code, TARGET codex)",
            step="disable-cli",
        )
        append(9, EntryKind.ACTION, "Park the account: done (ACCOUNT team-a)", step="park-account")

    def _escalate(self, conn: Connection, number: int) -> None:
        now = self.clock.now()
        escalation_store.start(
            conn,
            Escalation(
                episode_id=EPISODE,
                alert_id=ALERT,
                policy="availability",
                incident=number,
                state=EscalationState.ACTIVE,
                tier=0,
                round=0,
                due_at=now + timedelta(minutes=8),
                started_at=now - timedelta(minutes=7),
                reason="the next tier is told in 8 minutes",
            ),
        )
        self._deliver(conn, "oncall", DeliveryState.DELIVERED, "accepted")
        self._deliver(conn, "headless", DeliveryState.WAITING, "connection refused; another attempt follows")

    def _deliver(self, conn: Connection, receiver: str, state: DeliveryState, detail: str) -> None:
        now = self.clock.now() - timedelta(minutes=6, seconds=58)
        message = Message(severity=Severity.P1, title="Availability SLO breach", source="test")
        outbox.enqueue(
            conn, receiver=receiver, action=Action.TRIGGER, dedup_key=EPISODE, message=message, now=now,
            episode_id=EPISODE, incident=1,
        )  # fmt: skip
        delivery = outbox.claim(conn, now, timedelta(minutes=1), slots={receiver: 1})[0]
        attempt = outbox.start_attempt(conn, delivery, now)
        outcome = Outcome.ACCEPTED if state is DeliveryState.DELIVERED else Outcome.RETRY
        verdict = Verdict(state=state, reason=detail, due_at=None)
        outbox.finish_attempt(conn, attempt, Receipt(outcome=outcome, detail=detail), verdict, now)


#: (agent, state, kind, error) of executions that ended.
ENDED: Sequence[tuple[str, State, FailureKind | None, str | None]] = (
    ("planner", State.COMPLETED, None, None),
    ("docs-writer", State.FAILED, FailureKind.AUTH, "Invalid API key: please run /login"),
    ("reviewer", State.COMPLETED, None, None),
    ("triage", State.COMPLETED, None, None),
    ("refactorer", State.FAILED, FailureKind.AUTH, "Invalid API key: please run /login"),
    ("translator", State.FAILED, FailureKind.AUTH, "Invalid API key: please run /login"),
    ("planner", State.COMPLETED, None, None),
    ("triage", State.FAILED, FailureKind.CRASH, "ended by signal 9"),
    ("translator", State.REFUSED, FailureKind.REFUSED, "CLI type 'claude-code' is disabled"),
    ("reviewer", State.COMPLETED, None, None),
    ("planner", State.COMPLETED, None, None),
    ("refactorer", State.COMPLETED, None, None),
)
#: (seconds after the alert, step, exit code, output).
STEPS = (
    (2, "confirm", 0, '{\n  "current": 0.9333,\n  "target": 0.995,\n  "breached": true\n}'),
    (3, "events", 0, '[{"type": "EXECUTION_FAILED", "kind": "auth"}]'),
    (4, "by-cli", 0, '[{"cliType": "claude-code", "failures": 12, "total": 12, "kinds": {"auth": 12}}]'),
    (5, "by-agent", 0, '[{"agentId": "docs-writer", "failures": 4, "total": 4}]'),
    (5.5, "log", 0, ""),
    (7.5, "disable-cli", 0, '{"disabledCLIs": [{"cli": "claude-code", "target": "codex"}]}'),
    (8.5, "park-account", 0, '{"pauses": [{"scope": "account", "id": "team-a"}]}'),
)
CONSIDERED = [
    {"pattern": "all-clis", "verdict": "not_matched", "why": "healthy-clis.count() is 2, not 0"},
    {
        "pattern": "single-cli",
        "verdict": "matched",
        "why": "one-cli-fails holds; single-cli-account says more",
    },
    {"pattern": "single-cli-account", "verdict": "matched", "why": "one-cli-fails and is-of-account hold"},
    {"pattern": "single-agent", "verdict": "not_matched", "why": "failing-agents.count() is 3, not 1"},
    {"pattern": "random", "verdict": "not_matched", "why": "failing-clis.count() is 1, not 0"},
]
