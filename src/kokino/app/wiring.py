"""Which part is given which others. Nothing here is opened or started."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from fastapi import FastAPI

from kokino import web
from kokino.agents.detours import BreakerFallbacks
from kokino.agents.parking import Parking
from kokino.agents.service import Agents
from kokino.alerts import retention_store as alert_retention
from kokino.alerts.module import AlertRules
from kokino.alerts.receiving import Receiving
from kokino.alerts.silencing import Silencing
from kokino.api.app import create_api
from kokino.api.guard import Rules, is_loopback
from kokino.api.services import INCIDENTS, Restarts, Services
from kokino.app.examine import self_check
from kokino.app.ground import Ground
from kokino.app.settings import Checked
from kokino.doctor.examiner import Examiner
from kokino.doctor.module import Doctor
from kokino.doctor.supervision import SupervisionChecks
from kokino.engine.heartbeat import Heartbeat
from kokino.engine.loop import Engine
from kokino.escalation import policy
from kokino.escalation.acknowledge import Acknowledgements
from kokino.escalation.desk import Desk
from kokino.escalation.module import Escalations
from kokino.escalation.repeats import Repeats
from kokino.escalation.silences import Silences
from kokino.escalation.standing import Standings
from kokino.executions.change_sweep import ChangeSweep
from kokino.executions.idempotency import IdempotencyKeys
from kokino.executions.local import LocalDispatch
from kokino.executions.model import Execution
from kokino.executions.probes import Probes
from kokino.executions.runner import Runner
from kokino.executions.service import Executions
from kokino.executions.sessions import Sessions, SessionSweep
from kokino.executions.store import users_running
from kokino.executions.versions import Versions
from kokino.executions.watch import Watch
from kokino.executions.workshop import Workshop
from kokino.incidents.documents import IncidentDocuments
from kokino.incidents.module import Incidents
from kokino.incidents.service import IncidentResponse
from kokino.integrity import retention_store as integrity_retention
from kokino.integrity.backups import Backups
from kokino.integrity.module import NightlyIntegrity
from kokino.integrity.service import Integrity
from kokino.notify import channels
from kokino.notify import retention_store as notify_retention
from kokino.notify.channel import Channel
from kokino.notify.module import Deliveries
from kokino.playbooks import evidence_store
from kokino.playbooks.course import Course
from kokino.playbooks.execute import StepRunner
from kokino.playbooks.module import PlaybookRuns
from kokino.process.tmux.server import TmuxServer
from kokino.shadow import retention_store as shadow_retention
from kokino.shadow.companion import Shadows
from kokino.shadow.module import Comparisons
from kokino.shadow.service import ShadowMode
from kokino.shadow.snapshot import Snapshots
from kokino.telemetry import retention_store as telemetry_retention
from kokino.telemetry.retention import Retention
from kokino.tokens import Tokens


@dataclass(slots=True)
class Bells:
    """Who is woken by what. Made before the parts that ring them and those that they wake."""

    dispatch: LocalDispatch | None = None
    engine: Engine | None = None

    def wake(self) -> None:
        """Something that only the engine waits for."""
        if self.engine is not None:
            self.engine.wake()

    def changed(self) -> None:
        """Something that may let executions run."""
        if self.dispatch is not None:
            self.dispatch.wake()
        self.wake()

    def ended(self, _execution: Execution) -> None:
        """An execution ended: its agent is free, and an alert may have to fire."""
        self.changed()


def wire(checked: Checked, ground: Ground) -> tuple[Services, LocalDispatch, FastAPI]:
    """The services, the dispatch that feeds them, and the application that answers for them."""
    bells = Bells()
    executions = _executions(checked, ground, bells)
    folder = checked.config.home / "broker"
    probes = Probes(
        ground.storage,
        ground.world.clock,
        executions,
        checked.cli_types,
        folder=folder / "probes",
        interval=checked.fallback.probe_every,
        wanted=checked.fallback.probes_wanted,
    )
    comparisons = _comparisons(checked, executions)
    tokens = Tokens.open(folder / "token.key")
    desk = _desk(checked, ground)
    escalations = Escalations(ground.storage, desk, on_change=bells.wake)
    documents = checked.documents
    library = documents.playbooks
    course = Course(
        storage=ground.storage, clock=ground.world.clock, runner=_step_runner(checked, ground, tokens)
    )
    runs = PlaybookRuns(ground.storage, ground.world.ids, library, course, wake=bells.wake)
    alert_rules = AlertRules(
        ground.storage,
        ground.world.ids,
        documents.rules,
        documents.objectives,
        knows_running=users_running,
    )
    standings = Standings(storage=ground.storage, clock=ground.world.clock, desk=desk)
    ways = channels.build(
        checked.routing, client=ground.client, clock=ground.world.clock, stands=standings.of
    )
    deliveries = _deliveries(ground, ways, bells)
    heartbeat = _heartbeat(checked, ground, alert_rules)
    integrity = _integrity(checked, ground, bells)
    nightly = _nightly(checked, ground, integrity)
    doctor = _doctor(checked, ground, probes, bells)
    engine = Engine(
        ground.world.clock,
        # In the order in which one's effect is the next one's work.
        (
            doctor,
            BreakerFallbacks(
                ground.storage,
                checked.cli_types,
                first_probe=checked.fallback.probe_every,
                on_change=bells.changed,
            ),
            probes,
            nightly,
            Parking(ground.storage, on_change=bells.changed),
            comparisons,
            alert_rules,
            Incidents(
                ground.storage,
                desk.rules,
                availability=checked.documents.objectives.availability,
                runs=evidence_store,
            ),
            Silences(ground.storage, desk),
            escalations,
            runs,
            deliveries,
            _documents(checked, ground),
            IdempotencyKeys(ground.storage),
            SessionSweep(ground.storage, checked.sessions.max_age),
            ChangeSweep(ground.storage, executions.runner.workshop.changes),
            _retention(checked, ground),
            *([] if heartbeat is None else [heartbeat]),
            *_repeats(ground, desk, ways, alert_rules),
        ),
    )
    bells.dispatch, bells.engine = executions.dispatch, engine
    services = Services(
        home=checked.config.home,
        storage=ground.storage,
        clock=ground.world.clock,
        ids=ground.world.ids,
        cli_types=checked.cli_types,
        agents=Agents(
            storage=ground.storage,
            clock=ground.world.clock,
            cli_types=checked.cli_types,
            on_change=bells.changed,
            first_probe=checked.fallback.probe_every,
        ),
        executions=executions,
        sessions=Sessions(storage=ground.storage, clock=ground.world.clock, max_age=checked.sessions.max_age),
        probes=probes,
        shadow=ShadowMode(storage=ground.storage, clock=ground.world.clock, comparisons=comparisons),
        incidents=IncidentResponse(storage=ground.storage, clock=ground.world.clock, on_change=bells.wake),
        acknowledgements=Acknowledgements(ground.storage, desk, on_change=bells.wake),
        escalations=escalations,
        alert_rules=alert_rules,
        silencing=Silencing(
            storage=ground.storage,
            clock=ground.world.clock,
            ids=ground.world.ids,
            rules=desk.rules,
            longest=checked.alerting.longest_silence,
            on_change=bells.wake,
        ),
        receiving=Receiving(
            storage=ground.storage,
            own=(channels.alertmanager.INSTALLATION, ground.installation),
            on_change=bells.wake,
        ),
        desk=desk,
        warden=ground.warden,
        doctor=doctor,
        supervision=SupervisionChecks(ground.world.clock, self_check(checked, ground.runtime_folder)),
        integrity=integrity,
        nightly=nightly,
        engine=engine,
        deliveries=deliveries,
        heartbeat=heartbeat,
        objectives=documents.objectives,
        rules={rule.id: rule for rule in documents.rules},
        playbooks=library,
        tokens=tokens,
        environment=checked.environment,
        public_url=desk.public_url,
        started_at=ground.world.clock.now(),
        restarts=Restarts(),
    )
    api = create_api(services, _rules(checked, ground, tokens))
    web.mount(api)
    return services, executions.dispatch, api


def _executions(checked: Checked, ground: Ground, bells: Bells) -> Executions:
    watch, folder = Watch(), checked.config.home / "broker"
    workshop = Workshop(
        storage=ground.storage,
        clock=ground.world.clock,
        ids=ground.world.ids,
        warden=ground.warden,
        terminals=TmuxServer(
            warden=ground.warden,
            folder=ground.runtime_folder,
            spool=folder / "spool",
            environment=checked.environment,
        ),
        cli_types=checked.cli_types,
        spool=folder / "spool",
        logs=folder / "logs" / "agents",
        changes=folder / "changes",
        versions=Versions(warden=ground.warden, storage=ground.storage, spool=folder / "spool"),
        environment=checked.environment,
        on_event=bells.wake,
    )
    runner = Runner(workshop=workshop, watch=watch, on_end=bells.ended)
    dispatch = LocalDispatch(
        storage=ground.storage,
        clock=ground.world.clock,
        runner=runner,
        capacity=checked.process.executions,
        on_end=bells.ended,
    )
    return Executions(
        storage=ground.storage,
        clock=ground.world.clock,
        ids=ground.world.ids,
        runner=runner,
        dispatch=dispatch,
        watch=watch,
        on_end=bells.ended,
    )


def _doctor(checked: Checked, ground: Ground, probes: Probes, bells: Bells) -> Doctor:
    examiner = Examiner(
        settings=checked.doctor,
        warden=ground.warden,
        spool=checked.config.home / "broker" / "spool",
        environment=checked.environment,
        home=checked.config.home,
        ask=probes.ask,
    )
    return Doctor(ground.storage, ground.world.clock, checked.cli_types, examiner, on_change=bells.wake)


def _comparisons(checked: Checked, executions: Executions) -> Comparisons:
    """What sees comparisons to their end; executions in shadow mode get their shadow side from now on."""
    runner, dispatch = executions.runner, executions.dispatch
    private = checked.config.home / "broker"
    comparisons = Comparisons(
        runner=runner,
        snapshots=Snapshots(
            folder=private / "shadow",
            environment=checked.environment,
            private=private,
            bounds=checked.shadow.bounds,
        ),
    )
    runner.companion = Shadows(
        runner=runner,
        comparisons=comparisons,
        has_place=lambda: runner.in_flight < dispatch.capacity,
    )
    return comparisons


def _step_runner(checked: Checked, ground: Ground, tokens: Tokens) -> StepRunner:
    return StepRunner(
        warden=ground.warden,
        clock=ground.world.clock,
        ids=ground.world.ids,
        tokens=tokens,
        environment=checked.environment,
        home=checked.config.home,
        spool=checked.config.home / "broker" / "spool",
        url=ground.url,
    )


def _deliveries(ground: Ground, ways: Mapping[str, Channel], bells: Bells) -> Deliveries:
    return Deliveries(
        ground.storage,
        ground.world.clock,
        ways,
        bells.wake,
        random.Random(),  # noqa: S311 - spreads retries, guards nothing
    )


def _heartbeat(checked: Checked, ground: Ground, rules: AlertRules) -> Heartbeat | None:
    """None where the file names no address."""
    if checked.heartbeat_url is None:
        return None
    return Heartbeat(
        checked.heartbeat_url,
        checked.alerting.heartbeat_every,
        rules=rules.punctuality,
        storage=ground.storage,
        client=ground.client,
    )


def _repeats(ground: Ground, desk: Desk, ways: Mapping[str, Channel], rules: AlertRules) -> list[Repeats]:
    """None where there is no Alertmanager."""
    told = {name: way for name, way in ways.items() if isinstance(way, channels.AlertmanagerChannel)}
    return [Repeats(ground.storage, desk, told, rules.punctuality)] if told else []


def _integrity(checked: Checked, ground: Ground, bells: Bells) -> Integrity:
    return Integrity(
        storage=ground.storage,
        clock=ground.world.clock,
        ids=ground.world.ids,
        backups=Backups(database=ground.storage.file, keep=checked.integrity.backups),
        on_change=bells.wake,
    )


def _nightly(checked: Checked, ground: Ground, integrity: Integrity) -> NightlyIntegrity:
    return NightlyIntegrity(
        ground.storage,
        ground.world.clock,
        integrity,
        at=checked.integrity.time,
        zone=ZoneInfo(checked.calendar.timezone),
    )


def _retention(checked: Checked, ground: Ground) -> Retention:
    said = checked.storage
    kept = {
        telemetry_retention.EVENTS: said.keep_events,
        telemetry_retention.ROLLUPS: said.keep_rollups,
        shadow_retention.COMPARISONS: said.keep_events,
        alert_retention.CHANGES: said.keep_history,
        alert_retention.SILENCES: said.keep_history,
        alert_retention.ALERTS: said.keep_history,
        alert_retention.RECEIVED: said.keep_history,
        notify_retention.DELIVERIES: said.keep_history,
        integrity_retention.CHECKS: said.keep_history,
    }
    return Retention(ground.storage, kept)


def _documents(checked: Checked, ground: Ground) -> IncidentDocuments:
    return IncidentDocuments(
        ground.storage,
        checked.config.home / INCIDENTS,
        availability=checked.documents.objectives.availability,
        runs=evidence_store,
        zone=ZoneInfo(checked.calendar.timezone),
    )


def _desk(checked: Checked, ground: Ground) -> Desk:
    return Desk(
        rules={rule.id: rule for rule in checked.documents.rules},
        policies=policy.packaged(),
        routing=checked.routing,
        installation=ground.installation,
        public_url=checked.server.public_url or ground.url,
    )


def _rules(checked: Checked, ground: Ground, tokens: Tokens) -> Rules:
    """Who may ask: on loopback this machine's user, elsewhere only who has a token."""
    names = ["localhost", "127.0.0.1", "::1", ground.host]
    if checked.server.public_url is not None:
        names.append(urlsplit(checked.server.public_url).hostname or ground.host)
    return Rules(
        hosts=tuple(dict.fromkeys(name.lower() for name in names)),
        is_token_required=checked.server.auth == "required" or not is_loopback(ground.host),
        tokens=tokens,
        now=ground.world.clock.now,
    )
