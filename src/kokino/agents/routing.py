"""Where an agent's next execution runs: on its own CLI type, on another, later, or not at all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from kokino.agents import breaker
from kokino.agents.breaker import Circuit, Passage
from kokino.agents.model import Agent, CliType, Fallback, Pause, Scope, account_of
from kokino.clock import iso

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
    #: When what keeps it from running ends by itself; None where it does not, or nobody knows when.
    until: datetime | None = None
    #: The circuit that lets it through to try whether its agent works again.
    trial_of: Circuit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """All that is disabled, paused or open at one instant."""

    at: datetime
    cli_types: Mapping[str, CliType]
    #: Disabled CLI types by name.
    fallbacks: Mapping[str, Fallback]
    pauses: Collection[Pause]
    #: Circuits that are not closed, by agent and CLI type.
    circuits: Mapping[tuple[str, str], Circuit]


def route(agent: Agent, traffic: Traffic, *, is_probe: bool = False, ahead: int | None = None) -> Route:
    """Decide for one agent's next execution.

    `ahead` is for a prompt that comes just now: how many of the agent's wait before it. A circuit breaker
    refuses such a one, for its caller can come again; what was accepted earlier waits.

    A probe runs on its own CLI type whatever is disabled, paused or open: it is there to ask.
    """
    way = _way(agent, traffic, is_probe=is_probe)
    circuit = traffic.circuits.get((agent.agent_id, way.cli_type))
    if is_probe or circuit is None or way.way is not Way.RUN:
        return way
    return _by_circuit(way, circuit, traffic.at, ahead)


def _by_circuit(way: Route, circuit: Circuit, now: datetime, ahead: int | None) -> Route:
    """The way of an agent whose circuit breaker may have something against it."""
    match breaker.passage(circuit, now):
        case Passage.RUN:
            return way
        case Passage.TRIAL if not ahead:
            return replace(way, trial_of=circuit)
        case _:
            held = Way.WAIT if ahead is None else Way.REFUSE
            is_ahead = circuit.retry_at is not None and circuit.retry_at > now
            return replace(
                way,
                way=held,
                reason=breaker.why_held(circuit, now),
                until=circuit.retry_at if is_ahead else None,
            )


def _way(agent: Agent, traffic: Traffic, *, is_probe: bool) -> Route:
    """The way before any circuit breaker is asked."""
    own = Route(way=Way.RUN, cli_type=agent.cli_type, account=agent.account, reason="its own CLI type")
    if agent.cli_type not in traffic.cli_types:
        return _other(
            own, Way.REFUSE, f"there is no CLI type {agent.cli_type!r} any more; configure it again"
        )
    if is_probe:
        return own
    if pause := _pause_of(traffic, agent, agent.account, scopes=(Scope.ALL, Scope.POOL, Scope.AGENT)):
        return _other(own, Way.WAIT, _paused(pause), pause.ends_at)
    if fallback := traffic.fallbacks.get(agent.cli_type):
        return _around(agent, fallback, traffic, own)
    if pause := _pause_of(traffic, agent, agent.account, scopes=(Scope.ACCOUNT,)):
        return _other(own, Way.WAIT, _paused(pause), pause.ends_at)
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
        return _other(own, Way.WAIT, f"{disabled}; its fallback {target!r}: {_paused(pause)}", pause.ends_at)
    return Route(
        way=Way.RUN,
        cli_type=target,
        account=account,
        moved_from=agent.cli_type,
        reason=f"{disabled}; moved to {target!r}",
    )


def _other(own: Route, way: Way, reason: str, until: datetime | None = None) -> Route:
    return Route(way=way, cli_type=own.cli_type, account=own.account, reason=reason, until=until)


def _pause_of(traffic: Traffic, agent: Agent, account: str, *, scopes: tuple[Scope, ...]) -> Pause | None:
    ids = {Scope.ALL: "", Scope.POOL: agent.pool, Scope.AGENT: agent.agent_id, Scope.ACCOUNT: account}
    wanted = {(scope, ids[scope]) for scope in scopes}
    holding = (pause for pause in traffic.pauses if (pause.scope, pause.scope_id) in wanted)
    return next((pause for pause in holding if not pause.is_over(traffic.at)), None)


def _paused(pause: Pause) -> str:
    what = "everything is" if pause.scope is Scope.ALL else f"{pause.scope} {pause.scope_id!r} is"
    until = "" if pause.ends_at is None else f" until {iso(pause.ends_at)}"
    return f"{what} paused{until} ({pause.reason})"
