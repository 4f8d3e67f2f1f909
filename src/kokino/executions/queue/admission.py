"""What becomes of a prompt at the moment it is submitted, and when a refused caller may come again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from kokino.agents import store as agent_store
from kokino.agents.model import Agent, CliType
from kokino.agents.routing import Route, Way, route
from kokino.agents.traffic import traffic_now
from kokino.executions import store
from kokino.executions.lifecycle import end, refused
from kokino.executions.model import Execution, State
from kokino.executions.queue import store as queue_store
from kokino.executions.queue.spending import within_limit
from kokino.ids import Ids

#: When a refused caller may try again where nothing tells: after the next probe could have changed something.
RETRY_AFTER = timedelta(seconds=60)


def admit(
    conn: Connection,
    wanted: Execution,
    agent: Agent,
    cli_types: Mapping[str, CliType],
    ids: Ids,
    *,
    now: datetime,
) -> Execution:
    """Accept an execution: at the end of its queue, or refused at once where it may not run.

    A refused one is a row like any other: it counts, can be looked at, and stands with the CLI type that
    refused it.
    """
    way = _way(conn, agent, cli_types, now)
    if way.way is not Way.REFUSE:
        return store.accept(conn, wanted)
    aimed = replace(wanted, cli_type=way.cli_type, account=way.account, moved_from=way.moved_from)
    return end(conn, store.accept(conn, aimed), refused(way.reason), ids, now=now)


def retry_after(
    conn: Connection, ended: Execution, cli_types: Mapping[str, CliType], *, now: datetime
) -> timedelta | None:
    """When whoever waited for an execution may try again; None unless it was refused."""
    if ended.state is not State.REFUSED:
        return None
    agent = agent_store.get(conn, ended.agent_id)
    until = None if agent is None else _way(conn, agent, cli_types, now).until
    return RETRY_AFTER if until is None else until - now


def _way(conn: Connection, agent: Agent, cli_types: Mapping[str, CliType], now: datetime) -> Route:
    """The way of a prompt that comes at this instant."""
    traffic = traffic_now(conn, cli_types, now)
    ahead = queue_store.length(conn, agent.agent_id) if traffic.circuits else 0
    return within_limit(conn, agent, route(agent, traffic, ahead=ahead), now, is_new=True)
