"""What one execution took of tokens and money, where its CLI counts from the session's first turn on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import Connection

from kokino.agents import session_store
from kokino.executions.model import Ending, Execution

COST = "costUsd"


def own_share(conn: Connection, execution: Execution, ending: Ending) -> Ending:
    """`ending` with what this execution took by itself; remembers the session's sum for the next one."""
    if not ending.counts_session:
        return ending
    total = {**(ending.usage or {}), **({} if ending.cost_usd is None else {COST: ending.cost_usd})}
    session = session_store.get(conn, execution.agent_id, execution.cli_type)
    is_same = session is not None and session.conversation_id == execution.conversation_id
    before = session.taken or {} if session is not None and is_same and execution.is_resume else {}
    if is_same and total:
        session_store.note_taken(conn, execution.agent_id, execution.cli_type, total)
    share = difference(total, before)
    cost = share.pop(COST, None)
    usage = {name: int(tokens) for name, tokens in share.items()}
    return replace(ending, usage=usage if ending.usage is not None else None, cost_usd=cost)


def difference(total: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    """`total` less `before`, name by name.

    A count that went down was begun anew by the CLI, as some do when they compact: then it is its own share.
    """
    return {
        name: value - before.get(name, 0) if value >= before.get(name, 0) else value
        for name, value in total.items()
    }
