"""Where an agent's next execution runs: on its own CLI type, on another, later, or not at all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from kokino.agents.model import Agent, CliType, Fallback, Pause, Scope, account_of

#: The `fallback` of an agent that would rather wait than run elsewhere.
PARK = "park"


class Way(StrEnum):
    """What becomes of the next execution."""

    RUN = "run"
    WAIT = "wait"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A way, with its reason."""

    way: Way
    #: What it would run on.
    cli_type: str
    account: str
    #: Its own CLI type, when it runs on another.
    moved_from: str | None = None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """All that is disabled or paused at one instant."""

    cli_types: Mapping[str, CliType]
    #: Disabled CLI types by name.
    fallbacks: Mapping[str, Fallback]
    pauses: Collection[Pause]


def route(agent: Agent, traffic: Traffic, *, is_probe: bool = False) -> Route:
    """Decide for one agent.

    A probe runs on its own CLI type whatever is disabled or paused: it is there to ask.
    """
    own = Route(way=Way.RUN, cli_type=agent.cli_type, account=agent.account, reason="its own CLI type")
    if agent.cli_type not in traffic.cli_types:
        return _other(
            own, Way.REFUSE, f"there is no CLI type {agent.cli_type!r} any more; configure it again"
        )
    if is_probe:
        return own
    if pause := _pause_of(traffic, agent, agent.account, scopes=(Scope.ALL, Scope.POOL, Scope.AGENT)):
        return _other(own, Way.WAIT, _paused(pause))
    if fallback := traffic.fallbacks.get(agent.cli_type):
        return _around(agent, fallback, traffic, own)
    if pause := _pause_of(traffic, agent, agent.account, scopes=(Scope.ACCOUNT,)):
        return _other(own, Way.WAIT, _paused(pause))
    return own


def _around(agent: Agent, fallback: Fallback, traffic: Traffic, own: Route) -> Route:
    """The way of an agent whose CLI type is disabled."""
    disabled = f"CLI type {agent.cli_type!r} is disabled ({fallback.reason})"
    target = agent.fallback or fallback.target
    if target == PARK:
        return _other(own, Way.WAIT, f"{disabled}; the agent waits for it")
    if target is None:
        return _other(
            own, Way.REFUSE, f"{disabled} and agent {agent.agent_id!r} has no fallback; enable it, or set one"
        )
    if target not in traffic.cli_types:
        return _other(own, Way.REFUSE, f"{disabled} and its fallback {target!r} is no CLI type here")
    if target in traffic.fallbacks:
        return _other(own, Way.REFUSE, f"{disabled} and so is its fallback {target!r}")
    account = account_of(traffic.cli_types[target], {})
    if pause := _pause_of(traffic, agent, account, scopes=(Scope.ACCOUNT,)):
        return _other(own, Way.WAIT, f"{disabled}; its fallback {target!r}: {_paused(pause)}")
    return Route(
        way=Way.RUN,
        cli_type=target,
        account=account,
        moved_from=agent.cli_type,
        reason=f"{disabled}; moved to {target!r}",
    )


def _other(own: Route, way: Way, reason: str) -> Route:
    return Route(way=way, cli_type=own.cli_type, account=own.account, reason=reason)


def _pause_of(traffic: Traffic, agent: Agent, account: str, *, scopes: tuple[Scope, ...]) -> Pause | None:
    ids = {Scope.ALL: "", Scope.POOL: agent.pool, Scope.AGENT: agent.agent_id, Scope.ACCOUNT: account}
    wanted = {(scope, ids[scope]) for scope in scopes}
    return next((pause for pause in traffic.pauses if (pause.scope, pause.scope_id) in wanted), None)


def _paused(pause: Pause) -> str:
    what = "everything is" if pause.scope is Scope.ALL else f"{pause.scope} {pause.scope_id!r} is"
    return f"{what} paused ({pause.reason})"
