"""Put the API together."""

from __future__ import annotations

from fastapi import FastAPI

from kokino import __version__
from kokino.api import (
    activity,
    agents,
    alert_rules,
    alerts,
    circuits,
    deliveries,
    environment,
    executions,
    fallback,
    foreign_turns,
    health,
    hooks,
    incidents,
    integrity,
    metrics,
    pauses,
    playbooks,
    problems,
    scrape,
    sessions,
    shadow,
    silences,
    slo,
    supervision,
    terminals,
)
from kokino.api.guard import Guard, Rules
from kokino.api.routing import install
from kokino.api.services import Services

ROUTERS = (
    health.router,
    environment.router,
    supervision.router,
    activity.router,
    circuits.router,
    sessions.router,
    agents.router,
    terminals.router,
    executions.router,
    slo.router,
    scrape.router,
    metrics.router,
    fallback.router,
    pauses.router,
    shadow.router,
    alerts.router,
    alert_rules.router,
    silences.router,
    incidents.router,
    integrity.router,
    foreign_turns.router,
    playbooks.router,
    deliveries.router,
    hooks.router,
)


def create_api(services: Services, rules: Rules) -> FastAPI:
    """The API over `services`, guarded by `rules`."""
    app = FastAPI(
        title="Kokino",
        version=__version__,
        summary="Runs AI coding-agent CLIs as a production service.",
        # The pages of these load scripts from elsewhere; ours asks no other host.
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    install(app, ROUTERS)
    problems.install(app)
    app.add_middleware(Guard, rules=rules)
    return app
