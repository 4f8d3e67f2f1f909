"""The panels of agents, of executions, and of what is out of use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection

from kokino.agents import store as agent_store
from kokino.agents import traffic_store
from kokino.agents.model import Agent, CliType, Fallback, Pause, Scope
from kokino.agents.routing import Traffic, Way, route
from kokino.agents.traffic import stranded, traffic_now
from kokino.executions import summary_store
from kokino.executions.companion import owner_of
from kokino.executions.queue import store as queue_store
from kokino.executions.summary_store import Summary
from kokino.web import words

#: More agents than this are counted, not listed.
LISTED_AGENTS = 200
#: Executions listed beside those that run.
LISTED_EXECUTIONS = 15


class Standing(StrEnum):
    """What an agent does, or what keeps it from doing anything."""

    RUNNING = "running"
    IDLE = "idle"
    QUEUED = "queued"
    #: Its executions wait until a pause is lifted or its CLI type is enabled.
    PAUSED = "paused"
    #: Its prompts are refused: its circuit breaker is open, or its CLI type is disabled without a way around.
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRow:
    """An agent, and what it is doing."""

    agent_id: str
    cli_type: str
    account: str
    standing: Standing
    #: Executions that wait for it.
    queued: int
    #: The CLI type that its next execution runs on, where that is not its own.
    moved_to: str | None
    #: Why it is paused, refused or moved.
    reason: str | None
    running_since: datetime | None
    #: What it finished last.
    last: Summary | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agents:
    """The fleet."""

    rows: tuple[AgentRow, ...]
    #: Agents that are not listed.
    more: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfUse:
    """Disabled CLI types, agents that are sent elsewhere, and pauses."""

    fallbacks: tuple[Fallback, ...]
    #: Why agents are refused that are left without a way, by their ids.
    stranded: Mapping[str, str]
    pauses: tuple[Pause, ...]
    #: Good probes in a row that the way back takes.
    probes_wanted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Executions:
    """What runs, then what was accepted last."""

    running: tuple[Summary, ...]
    latest: tuple[Summary, ...]


def read_agents(
    conn: Connection, *, cli_types: Mapping[str, CliType], running: Sequence[Summary], now: datetime
) -> Agents:
    """Every agent, by id."""
    traffic = traffic_now(conn, cli_types, now)
    # Of two sides of one prompt the caller's, which was accepted first.
    since = {owner_of(one.agent_id): one.started_at for one in reversed(running)}
    queued, last = queue_store.lengths(conn), summary_store.last_ended(conn)
    everyone = agent_store.everyone(conn)
    rows = [
        _row(agent, traffic, since, queued.get(agent.agent_id, 0), last.get(agent.agent_id))
        for agent in everyone[:LISTED_AGENTS]
    ]
    return Agents(rows=tuple(rows), more=len(everyone) - len(rows))


def read_out_of_use(
    conn: Connection, *, cli_types: Mapping[str, CliType], probes_wanted: int, now: datetime
) -> OutOfUse:
    """All that is disabled, sent elsewhere or paused, of each the oldest first."""
    return OutOfUse(
        fallbacks=tuple(traffic_store.everything(conn)),
        stranded=stranded(conn, traffic_now(conn, cli_types, now)),
        pauses=tuple(traffic_store.paused(conn)),
        probes_wanted=probes_wanted,
    )


def read_executions(conn: Connection, *, running: Sequence[Summary]) -> Executions:
    """The ones that run, and the latest of the others."""
    return Executions(
        running=tuple(running), latest=tuple(summary_store.latest(conn, limit=LISTED_EXECUTIONS))
    )


def paused_what(pause: Pause) -> str:
    """``Everything``, ``account team-a``."""
    return "Everything" if pause.scope is Scope.ALL else f"{pause.scope} {pause.scope_id}"


def outcome(execution: Summary) -> str:
    """``completed in 4.2 s``, ``failed: auth``, ``refused``."""
    if execution.state.value == "completed" and execution.duration is not None:
        return f"completed in {took(execution)}"
    kind = None if execution.kind is None else execution.kind.value
    state = execution.state.value
    return state if kind in {None, state} else f"{state}: {kind}"


def took(execution: Summary) -> str:
    """How long it ran; a dash where it never did, or still does."""
    milliseconds = None if execution.duration is None else int(execution.duration.total_seconds() * 1_000)
    return words.milliseconds(milliseconds)


def _row(
    agent: Agent, traffic: Traffic, since: Mapping[str, datetime | None], queued: int, last: Summary | None
) -> AgentRow:
    way = route(agent, traffic, ahead=queued)
    is_moved = way.way is Way.RUN and way.moved_from is not None
    return AgentRow(
        agent_id=agent.agent_id,
        cli_type=agent.cli_type,
        account=agent.account,
        standing=_standing(way.way, is_running=agent.agent_id in since, queued=queued),
        queued=queued,
        moved_to=way.cli_type if is_moved else None,
        reason=way.reason if is_moved or way.way is not Way.RUN else None,
        running_since=since.get(agent.agent_id),
        last=last,
    )


def _standing(way: Way, *, is_running: bool, queued: int) -> Standing:
    if is_running:
        return Standing.RUNNING
    if way is Way.WAIT:
        return Standing.PAUSED
    if way is Way.REFUSE:
        return Standing.REFUSED
    return Standing.QUEUED if queued else Standing.IDLE
