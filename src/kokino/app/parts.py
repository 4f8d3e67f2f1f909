"""Parts of the broker that take more than a line to build."""

from __future__ import annotations

import random
from collections.abc import Mapping
from zoneinfo import ZoneInfo

from kokino.alerts import retention_store as alert_retention
from kokino.alerts.module import AlertRules
from kokino.api.services import INCIDENTS
from kokino.app.bells import Bells
from kokino.app.ground import Ground
from kokino.app.settings import Checked
from kokino.doctor.examiner import Examiner
from kokino.doctor.module import Doctor
from kokino.engine.heartbeat import Heartbeat
from kokino.escalation import policy
from kokino.escalation.desk import Desk
from kokino.escalation.repeats import Repeats
from kokino.executions import retention_store as execution_retention
from kokino.executions.local import LocalDispatch
from kokino.executions.probes import Probes
from kokino.executions.runner import Runner
from kokino.executions.service import Executions
from kokino.executions.versions import VersionNotes
from kokino.executions.watch import Watch
from kokino.executions.workshop import Workshop
from kokino.incidents.documents import IncidentDocuments
from kokino.integrity import retention_store as integrity_retention
from kokino.integrity.backups import Backups
from kokino.integrity.module import NightlyIntegrity
from kokino.integrity.service import Integrity
from kokino.notify import channels
from kokino.notify import retention_store as notify_retention
from kokino.notify.channel import Channel
from kokino.notify.module import Deliveries
from kokino.playbooks import evidence_store
from kokino.playbooks.execute import StepRunner
from kokino.process.tmux.server import TmuxServer
from kokino.process.versions import Versions
from kokino.shadow import retention_store as shadow_retention
from kokino.shadow.companion import Shadows
from kokino.shadow.module import Comparisons
from kokino.shadow.snapshot import Snapshots
from kokino.telemetry import retention_store as telemetry_retention
from kokino.telemetry.retention import Retention
from kokino.tokens import Tokens


def executions(checked: Checked, ground: Ground, bells: Bells) -> Executions:
    """What runs prompts: the workshop, its runner and the dispatch that feeds it."""
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
        versions=VersionNotes(
            versions=Versions(warden=ground.warden, spool=folder / "spool"), storage=ground.storage
        ),
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


def doctor(checked: Checked, ground: Ground, probes: Probes, bells: Bells) -> Doctor:
    """What looks at each CLI type's environment."""
    examiner = Examiner(
        settings=checked.doctor,
        warden=ground.warden,
        spool=checked.config.home / "broker" / "spool",
        environment=checked.environment,
        home=checked.config.home,
        ask=probes.ask,
    )
    return Doctor(ground.storage, ground.world.clock, checked.cli_types, examiner, on_change=bells.wake)


def comparisons(checked: Checked, executions: Executions) -> Comparisons:
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


def step_runner(checked: Checked, ground: Ground, tokens: Tokens) -> StepRunner:
    """What runs the steps of playbooks."""
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


def deliveries(ground: Ground, ways: Mapping[str, Channel], bells: Bells) -> Deliveries:
    """The outbox, with a way to each receiver."""
    return Deliveries(
        ground.storage,
        ground.world.clock,
        ways,
        bells.wake,
        random.Random(),  # noqa: S311 - spreads retries, guards nothing
    )


def heartbeat(checked: Checked, ground: Ground, rules: AlertRules, integrity: Integrity) -> Heartbeat | None:
    """None where the file names no address."""
    if checked.heartbeat_url is None:
        return None
    return Heartbeat(
        checked.heartbeat_url,
        checked.alerting.heartbeat_every,
        rules=rules.punctuality,
        storage=ground.storage,
        client=ground.client,
        untold=lambda: integrity.untold,
    )


def repeats(ground: Ground, desk: Desk, ways: Mapping[str, Channel], rules: AlertRules) -> list[Repeats]:
    """None where there is no Alertmanager."""
    told = {name: way for name, way in ways.items() if isinstance(way, channels.AlertmanagerChannel)}
    return [Repeats(ground.storage, desk, told, rules.punctuality)] if told else []


def integrity(checked: Checked, ground: Ground, bells: Bells) -> Integrity:
    """What looks at the data, and repairs it."""
    return Integrity(
        storage=ground.storage,
        clock=ground.world.clock,
        ids=ground.world.ids,
        backups=Backups(
            database=ground.storage.file,
            keep=checked.integrity.backups,
            keep_asked=checked.integrity.keep_asked,
        ),
        on_change=bells.wake,
    )


def nightly(checked: Checked, ground: Ground, integrity: Integrity) -> NightlyIntegrity:
    """The integrity check of each night."""
    return NightlyIntegrity(
        ground.storage,
        ground.world.clock,
        integrity,
        at=checked.integrity.time,
        zone=ZoneInfo(checked.calendar.timezone),
    )


def retention(checked: Checked, ground: Ground) -> Retention:
    """What is kept how long."""
    said = checked.storage
    kept = {
        # Records first: an execution goes when it has none left.
        execution_retention.RECORDS: said.keep_executions,
        execution_retention.EXECUTIONS: said.keep_executions,
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


def documents(checked: Checked, ground: Ground) -> IncidentDocuments:
    """The review documents."""
    return IncidentDocuments(
        ground.storage,
        checked.config.home / INCIDENTS,
        availability=checked.documents.objectives.availability,
        runs=evidence_store,
        zone=ZoneInfo(checked.calendar.timezone),
    )


def desk(checked: Checked, ground: Ground) -> Desk:
    """Who is told of what."""
    return Desk(
        rules={rule.id: rule for rule in checked.documents.rules},
        policies=policy.packaged(),
        routing=checked.routing,
        installation=ground.installation,
        public_url=checked.server.public_url or ground.url,
    )
