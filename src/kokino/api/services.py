"""What the API is given to work with, and how a route gets it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, cast

from fastapi import Depends, Request

from kokino.agents.model import CliType
from kokino.agents.service import Agents
from kokino.alerts.model import AlertRule
from kokino.clock import Clock
from kokino.engine.loop import Engine
from kokino.escalation.service import Responders
from kokino.executions.probes import Probes
from kokino.executions.service import Executions
from kokino.ids import Ids
from kokino.playbooks.library import Library
from kokino.process.client import Warden
from kokino.slo.model import Objective
from kokino.storage import Storage
from kokino.tokens import Grant, Tokens


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
    probes: Probes
    responders: Responders
    warden: Warden
    engine: Engine
    objectives: Mapping[str, Objective]
    rules: Mapping[str, AlertRule]
    playbooks: Library
    tokens: Tokens
    #: What agents inherit; the doctor looks on its PATH.
    environment: Mapping[str, str]
    public_url: str
    started_at: datetime
    #: Names of the receivers that page somebody.
    paging: frozenset[str] = field(default_factory=frozenset)


def _services(request: Request) -> Services:
    return cast(Services, request.app.state.services)


def _grant(request: Request) -> Grant:
    return cast(Grant, request.state.grant)


#: The services, in a route's signature.
Given = Annotated[Services, Depends(_services)]
#: Who asks, in a route's signature.
Caller = Annotated[Grant, Depends(_grant)]
