"""What one execution took of tokens and money, where its CLI counts from the session's first turn on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import Connection

from kokino.agents import session_store
from kokino.executions.model import Ending, Execution

COST = "costUsd"


def own_share(
    conn: Connection, execution: Execution, ending: Ending, *, session_is_alive: bool = True
) -> Ending:
    """`ending` with what this try took by itself; remembers the session's sum for the next one.

    A CLI that did not know the session any more (`session_is_alive`) counted from the beginning of another.
    """
    total = _session_total(ending)
    if not total:
        return ending
    session = session_store.get(conn, execution.agent_id, execution.cli_type)
    is_same = session is not None and session.conversation_id == execution.conversation_id
    goes_on = execution.is_resume and session_is_alive and ending.began_anew is None
    before = session.taken or {} if session is not None and is_same and goes_on else {}
    if is_same:
        session_store.note_taken(conn, execution.agent_id, execution.cli_type, total)
    share = difference(total, before)
    cost = share.pop(COST, None)
    if not ending.counts_session:
        return replace(ending, cost_usd=cost)
    usage = {name: int(tokens) for name, tokens in share.items()}
    return replace(ending, usage=usage if ending.usage is not None else None, cost_usd=cost)


def with_earlier(ending: Ending, execution: Execution) -> Ending:
    """`ending` with what the earlier tries of its execution took, which its row has noted."""
    usage: Mapping[str, int] | None = ending.usage
    if execution.usage is not None:
        names = {**execution.usage, **(usage or {})}
        usage = {name: execution.usage.get(name, 0) + (usage or {}).get(name, 0) for name in names}
    costs = [cost for cost in (execution.cost_usd, ending.cost_usd) if cost is not None]
    return replace(ending, usage=usage, cost_usd=sum(costs) if costs else None)


def _session_total(ending: Ending) -> dict[str, float]:
    """What the CLI counts over the whole session, of what it told."""
    total: dict[str, float] = dict(ending.usage or {}) if ending.counts_session else {}
    if ending.cost_usd is not None and (ending.counts_session or ending.counts_session_cost):
        total[COST] = ending.cost_usd
    return total


def difference(total: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    """`total` less `before`, name by name.

    A count that went down was begun anew by the CLI, as some do when they compact: then it is its own share.
    """
    return {
        name: value - before.get(name, 0) if value >= before.get(name, 0) else value
        for name, value in total.items()
    }
