"""Which part is given which others. Nothing here is opened or started."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import FastAPI

from kokino import web
from kokino.agents.breaker_fallback import BreakerFallbacks
from kokino.agents.parking import Parking
from kokino.agents.service import Agents
from kokino.alerts.module import AlertRules
from kokino.alerts.receiving import Receiving
from kokino.alerts.silencing import Silencing
from kokino.api.app import create_api
from kokino.api.guard import Rules, is_loopback
from kokino.api.services import Restarts, Services
from kokino.app import parts
from kokino.app.bells import Bells
from kokino.app.examine import self_check
from kokino.app.ground import Ground
from kokino.app.settings import Checked
from kokino.doctor.supervision import SupervisionChecks
from kokino.engine.loop import Engine
from kokino.escalation.acknowledge import Acknowledgements
from kokino.escalation.module import Escalations
from kokino.escalation.silences import Silences
from kokino.escalation.standing import Standings
from kokino.executions.changes.sweep import ChangeSweep
from kokino.executions.local import LocalDispatch
from kokino.executions.probes import Probes
from kokino.executions.queue.idempotency import IdempotencyKeys
from kokino.executions.sessions import Sessions, SessionSweep
from kokino.executions.store import users_running
from kokino.incidents.module import Incidents
from kokino.incidents.service import IncidentResponse
from kokino.notify import channels
from kokino.playbooks import evidence_store
from kokino.playbooks.course import Course
from kokino.playbooks.module import PlaybookRuns
from kokino.shadow.service import ShadowMode
from kokino.tokens import Tokens


def wire(checked: Checked, ground: Ground) -> tuple[Services, LocalDispatch, FastAPI]:
    """The services, the dispatch that feeds them, and the application that answers for them."""
    bells = Bells()
    executions = parts.executions(checked, ground, bells)
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
    comparisons = parts.comparisons(checked, executions)
    tokens = Tokens.open(folder / "token.key")
    desk = parts.desk(checked, ground)
    escalations = Escalations(ground.storage, desk, on_change=bells.wake)
    documents = checked.documents
    library = documents.playbooks
    course = Course(
        storage=ground.storage, clock=ground.world.clock, runner=parts.step_runner(checked, ground, tokens)
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
    deliveries = parts.deliveries(ground, ways, bells)
    integrity = parts.integrity(checked, ground, bells)
    heartbeat = parts.heartbeat(checked, ground, alert_rules, integrity)
    nightly = parts.nightly(checked, ground, integrity)
    doctor = parts.doctor(checked, ground, probes, bells)
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
            parts.documents(checked, ground),
            IdempotencyKeys(ground.storage),
            SessionSweep(ground.storage, checked.sessions.max_age),
            ChangeSweep(ground.storage, executions.runner.workshop.changes),
            parts.retention(checked, ground),
            *([] if heartbeat is None else [heartbeat]),
            *parts.repeats(ground, desk, ways, alert_rules),
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
