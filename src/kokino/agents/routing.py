"""Where an agent's next execution runs: on its own CLI type, on another, later, or not at all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from kokino.agents import breaker
from kokino.agents.breaker import Circuit, Passage
from kokino.agents.model import Agent, CliType, Fallback, Mode, Pause, Scope, account_of
from kokino.clock import iso

#: The `fallback` of an agent that would rather wait than run elsewhere.
PARK = "park"
#: The `fallback` of an agent that stays with its CLI, worked in a terminal; that of all who name none, but
#: for CLIs whose answers are guessed there.
TMUX = "tmux"


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
    mode: Mode = Mode.HEADLESS
    #: Its own CLI type, when it runs on another.
    moved_from: str | None = None
    #: It is sent round what is disabled, be it on its own CLI type.
    is_around: bool = False
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
    #: Agents that are sent elsewhere by name, by their id.
    forced: Mapping[str, Fallback] = field(default_factory=dict)
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
    # What sends an agent round its own way may be its circuit there: round it there is another one.
    is_round_it = way.is_around and way.moved_from is None
    kept_under = breaker.in_tmux(way.cli_type) if is_round_it else way.cli_type
    circuit = traffic.circuits.get((agent.agent_id, kept_under))
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
    own = Route(
        way=Way.RUN,
        cli_type=agent.cli_type,
        account=agent.account,
        mode=agent.mode.of_caller,
        reason="its own CLI type",
    )
    if agent.cli_type not in traffic.cli_types:
        return _other(
            own, Way.REFUSE, f"there is no CLI type {agent.cli_type!r} any more; configure it again"
        )
    if is_probe:
        return replace(own, mode=Mode.HEADLESS)
    if agent.mode.of_caller is Mode.TMUX and (missing := traffic.cli_types[agent.cli_type].no_terminal):
        return _other(own, Way.REFUSE, f"agent {agent.agent_id!r} runs in tmux, and {missing}")
    if pause := _pause_of(traffic, agent, agent.account, scopes=(Scope.ALL, Scope.POOL, Scope.AGENT)):
        return _other(own, Way.WAIT, _paused(pause), pause.ends_at)
    fallback = traffic.forced.get(agent.agent_id) or traffic.fallbacks.get(agent.cli_type)
    if fallback is not None:
        return _around(agent, fallback, traffic, own)
    return _unless_parked(agent, traffic, own, "")


def target_of(agent: Agent, fallback: Fallback) -> str:
    """Where a fallback sends an agent; tmux where nobody has named a way."""
    return named_target(agent, fallback) or TMUX


def named_target(agent: Agent, fallback: Fallback) -> str | None:
    """Where somebody has said that it goes: what is said of it by name, else what is said of many."""
    own = agent.fallback
    named = (fallback.target, own) if fallback.agent_id is not None else (own, fallback.target)
    return named[0] or named[1]


def why_not_unasked(cli_type: CliType) -> str | None:
    """Why nobody's silence sends an agent of this CLI type to tmux; None where it does."""
    if not cli_type.is_guessed_in_terminal:
        return None
    return (
        f"in tmux only the screen tells what {cli_type.name!r} does, so it is worked there where somebody"
        " names it: name tmux, another CLI type or park, as the target or as the agent's fallback"
    )


def _around(agent: Agent, fallback: Fallback, traffic: Traffic, own: Route) -> Route:
    """The way of an agent whose own one is disabled."""
    disabled = _why(agent, fallback)
    target = named_target(agent, fallback)
    if target == PARK:
        return _other(own, Way.WAIT, f"{disabled}; the agent waits for it")
    if target is None or target == TMUX:
        return _in_terminal(agent, traffic, own, disabled, is_named=target is not None)
    if target not in traffic.cli_types:
        return _other(own, Way.REFUSE, f"{disabled} and its fallback {target!r} is no CLI type here")
    if target in traffic.fallbacks or target == agent.cli_type:
        return _other(own, Way.REFUSE, f"{disabled}, and its fallback {target!r} is disabled, too")
    other = traffic.cli_types[target]
    is_headless = other.no_terminal is not None or other.is_guessed_in_terminal
    moved = Route(
        way=Way.RUN,
        cli_type=target,
        account=account_of(other, {}),
        mode=Mode.HEADLESS if is_headless else agent.mode.of_caller,
        moved_from=agent.cli_type,
        is_around=True,
        reason=f"{disabled}; moved to {target!r}",
    )
    waiting = _unless_parked(agent, traffic, moved, f"{disabled}; its fallback {target!r}: ")
    return waiting if waiting is moved else replace(waiting, cli_type=own.cli_type, account=own.account)


def _in_terminal(agent: Agent, traffic: Traffic, own: Route, disabled: str, *, is_named: bool) -> Route:
    """The way through tmux: the same CLI, login and session, worked as a person would."""
    if agent.mode.of_caller is Mode.TMUX:
        if agent.agent_id in traffic.forced:
            said = f"{disabled} and runs in tmux anyway; name another target, or clear it"
            return _other(own, Way.REFUSE, said)
        # What is disabled is the headless form of its CLI type, which it does not use.
        return _unless_parked(agent, traffic, own, "")
    if missing := traffic.cli_types[agent.cli_type].no_terminal:
        said = f"{disabled} and agent {agent.agent_id!r} has no fallback: {missing}; enable it, or set one"
        return _other(own, Way.REFUSE, said)
    if not is_named and (missing := why_not_unasked(traffic.cli_types[agent.cli_type])):
        return _other(own, Way.REFUSE, f"{disabled} and agent {agent.agent_id!r} has no fallback: {missing}")
    moved = replace(own, mode=Mode.TMUX, is_around=True, reason=f"{disabled}; worked in tmux")
    return _unless_parked(agent, traffic, moved, f"{disabled}; its login is needed in tmux, too: ")


def _why(agent: Agent, fallback: Fallback) -> str:
    if fallback.agent_id is not None:
        return f"agent {agent.agent_id!r} is sent elsewhere ({fallback.reason})"
    return f"CLI type {agent.cli_type!r} is disabled ({fallback.reason})"


def _unless_parked(agent: Agent, traffic: Traffic, way: Route, before: str) -> Route:
    """The way, but no way while its account is paused."""
    pause = _pause_of(traffic, agent, way.account, scopes=(Scope.ACCOUNT,))
    return way if pause is None else _other(way, Way.WAIT, f"{before}{_paused(pause)}", pause.ends_at)


def _other(own: Route, way: Way, reason: str, until: datetime | None = None) -> Route:
    return Route(
        way=way, cli_type=own.cli_type, account=own.account, mode=own.mode, reason=reason, until=until
    )


def _pause_of(traffic: Traffic, agent: Agent, account: str, *, scopes: tuple[Scope, ...]) -> Pause | None:
    ids = {Scope.ALL: "", Scope.POOL: agent.pool, Scope.AGENT: agent.agent_id, Scope.ACCOUNT: account}
    wanted = {(scope, ids[scope]) for scope in scopes}
    holding = (pause for pause in traffic.pauses if (pause.scope, pause.scope_id) in wanted)
    return next((pause for pause in holding if not pause.is_over(traffic.at)), None)


def _paused(pause: Pause) -> str:
    what = "everything is" if pause.scope is Scope.ALL else f"{pause.scope} {pause.scope_id!r} is"
    until = "" if pause.ends_at is None else f" until {iso(pause.ends_at)}"
    return f"{what} paused{until} ({pause.reason})"
