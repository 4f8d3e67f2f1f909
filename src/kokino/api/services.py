"""What the API is given to work with, and how a route gets it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, cast

from fastapi import Depends, Request

from kokino.agents.model import CliType
from kokino.agents.service import Agents
from kokino.alerts.module import AlertRules
from kokino.alerts.receiving import Receiving
from kokino.alerts.rule import AlertRule
from kokino.alerts.silencing import Silencing
from kokino.clock import Clock
from kokino.doctor.module import Doctor
from kokino.doctor.supervision import SupervisionChecks
from kokino.engine.heartbeat import Heartbeat
from kokino.engine.loop import Engine
from kokino.escalation.acknowledge import Acknowledgements
from kokino.escalation.desk import Desk
from kokino.escalation.module import Escalations
from kokino.executions.bound import Bound
from kokino.executions.probes import Probes
from kokino.executions.service import Executions
from kokino.executions.sessions import Sessions
from kokino.ids import Ids
from kokino.incidents.service import IncidentResponse
from kokino.integrity.module import NightlyIntegrity
from kokino.integrity.service import Integrity
from kokino.notify.module import Deliveries
from kokino.playbooks.library import Library
from kokino.process.client import Warden
from kokino.shadow.service import ShadowMode
from kokino.slo.model import Objectives
from kokino.storage import Storage
from kokino.tokens import Grant, Tokens

#: Folder of the review documents, below the home.
INCIDENTS = "incidents"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """A restart that was asked for."""

    at: datetime
    #: How many executions went on under the present broker.
    executions: int
    #: Those that ended with the one before it.
    lost: tuple[Bound, ...] = ()
    #: Why it was not done; None when the present broker came of it.
    refused: str | None = None


@dataclass(slots=True)
class Restarts:
    """What is known of restarts in this process."""

    last: Restart | None = None

    def done(self, executions: int, lost: tuple[Bound, ...], *, at: datetime) -> None:
        """This broker has taken over from one before it."""
        self.last = Restart(at=at, executions=executions, lost=lost)

    def refused(self, reason: str, *, at: datetime) -> None:
        """This broker goes on, for what would come after it could not."""
        self.last = Restart(at=at, executions=0, refused=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything behind the API."""

    home: Path
    storage: Storage
    clock: Clock
    ids: Ids
    cli_types: Mapping[str, CliType]
    agents: Agents
    executions: Executions
    sessions: Sessions
    probes: Probes
    shadow: ShadowMode
    incidents: IncidentResponse
    acknowledgements: Acknowledgements
    escalations: Escalations
    alert_rules: AlertRules
    silencing: Silencing
    receiving: Receiving
    desk: Desk
    warden: Warden
    doctor: Doctor
    supervision: SupervisionChecks
    integrity: Integrity
    nightly: NightlyIntegrity
    engine: Engine
    deliveries: Deliveries
    #: None where no address was configured.
    heartbeat: Heartbeat | None
    objectives: Objectives
    rules: Mapping[str, AlertRule]
    playbooks: Library
    tokens: Tokens
    #: What agents inherit; the doctor looks on its PATH.
    environment: Mapping[str, str]
    public_url: str
    started_at: datetime
    restarts: Restarts


def _services(request: Request) -> Services:
    return cast(Services, request.app.state.services)


def _grant(request: Request) -> Grant:
    return cast(Grant, request.state.grant)


#: The services, in a route's signature.
Given = Annotated[Services, Depends(_services)]
#: Who asks, in a route's signature.
Caller = Annotated[Grant, Depends(_grant)]
