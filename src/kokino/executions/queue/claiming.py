"""One look at the queues, as one transaction: what starts, what is refused, what goes on waiting and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from kokino.agents import lock_store
from kokino.agents import store as agent_store
from kokino.agents.failures import FailureKind
from kokino.agents.model import CliType, Lock
from kokino.agents.routing import Traffic, Way, route
from kokino.agents.traffic import traffic_now
from kokino.clock import iso
from kokino.executions import notices
from kokino.executions.companion import lockers, owner_of
from kokino.executions.lifecycle import Claim, begin, end, refused
from kokino.executions.model import Ending, Execution, State
from kokino.executions.queue import store as queue_store
from kokino.executions.queue.spending import within_limit
from kokino.ids import Ids
from kokino.telemetry.model import PROBE


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What one look at the queues came to."""

    started: list[Claim] = field(default_factory=list)
    #: Refused for good: no way to run, or waited too long.
    ended: list[Execution] = field(default_factory=list)
    #: Instants at which something ends by itself that keeps an execution waiting.
    openings: list[datetime] = field(default_factory=list)

    @property
    def due_at(self) -> datetime | None:
        """When another look can start something though nobody wakes us; None when only a wake can."""
        return min(self.openings, default=None)


def claim(
    conn: Connection, cli_types: Mapping[str, CliType], ids: Ids, *, capacity: int, now: datetime
) -> Claimed:
    """Start what can start: at most `capacity`, one for each free agent, first come first served.

    What no longer has a way to run is refused here; what has to wait stays queued.
    """
    claimed = Claimed()
    traffic, held = traffic_now(conn, cli_types, now), lock_store.held(conn)
    for execution in queue_store.overdue(conn, now):
        lock = next((held[who] for who in lockers(execution.agent_id) if who in held), None)
        message = _gave_up(conn, execution, traffic, lock)
        notices.tell_gave_up(conn, execution, message, lock, now=now)
        gave_up = Ending(state=State.REFUSED, kind=FailureKind.LOCK_TIMEOUT, error=message)
        claimed.ended.append(end(conn, execution, gave_up, ids, now=now))
    for execution in queue_store.heads(conn, busy={owner_of(who) for who in held}):
        if len(claimed.started) < capacity:
            _claim_one(conn, execution, traffic, ids, claimed, now=now)
    return claimed


def _claim_one(
    conn: Connection, execution: Execution, traffic: Traffic, ids: Ids, claimed: Claimed, *, now: datetime
) -> None:
    agent = agent_store.get(conn, execution.agent_id)
    if agent is None:
        gone = refused(f"agent {execution.agent_id!r} was removed")
        claimed.ended.append(end(conn, execution, gone, ids, now=now))
        return
    is_probe = execution.label == PROBE
    decided = route(agent, traffic, is_probe=is_probe)
    if not is_probe:
        decided = within_limit(conn, agent, decided, now)
    if decided.way is Way.REFUSE:
        claimed.ended.append(end(conn, execution, refused(decided.reason), ids, now=now))
    elif decided.way is Way.WAIT:
        claimed.openings.extend([decided.until] if decided.until else [])
    else:
        driver = traffic.cli_types[decided.cli_type].driver
        claimed.started.append(begin(conn, execution, agent, decided, ids, driver=driver, now=now))


def _gave_up(conn: Connection, execution: Execution, traffic: Traffic, lock: Lock | None) -> str:
    waited = int(execution.queue_timeout.total_seconds())
    return f"waited {waited} s for agent {execution.agent_id!r}: {_why(conn, execution, traffic, lock)}"


def _why(conn: Connection, execution: Execution, traffic: Traffic, lock: Lock | None) -> str:
    """What it waited for to the last."""
    if lock is not None and lock.locked_at is not None:
        return f"{lock.execution_id} has run since {iso(lock.locked_at)}"
    agent = agent_store.get(conn, execution.agent_id)
    found = None if agent is None else route(agent, traffic, is_probe=execution.label == PROBE)
    if found is not None and found.way is Way.WAIT:
        return found.reason
    return "others came before it, or all places were taken (process.executions)"
