"""What runs beside an execution keeps its agent busy, spends its money, and is never begun a second time."""

from __future__ import annotations

from kokino.agents import circuit_store, lock_store
from kokino.agents.failures import FailureKind
from kokino.agents.model import shadow_of
from kokino.executions import store
from kokino.executions.companion import beside
from kokino.executions.lifecycle import Claim, end
from kokino.executions.model import Ending, State
from kokino.telemetry.model import SHADOW
from tests.integration.executions.given import NOW, Queue, agent, at, execution


async def begun(queue: Queue, execution_id: str, agent_id: str, **more: object) -> Claim:
    """One that runs."""
    await queue.agents(agent(agent_id))
    await queue.accept(execution(execution_id, agent_id, **more))
    (claim,) = (await queue.look()).started
    return claim


async def ended(queue: Queue, claim: Claim, ending: Ending) -> None:
    """Its end."""
    await queue.storage.write(lambda conn: end(conn, claim.execution, ending, queue.ids, now=at(5)))


async def test_an_agent_waits_until_both_locks_are_free(queue: Queue) -> None:
    """Its own, and that of who runs its prompts once more; another agent does not."""
    await queue.agents(agent("writer"), agent("editor"))
    await queue.storage.write(
        lambda conn: lock_store.acquire(conn, shadow_of("writer"), beside("exec-0"), now=NOW)
    )
    await queue.accept(execution("exec-1"), execution("exec-2", "editor"))
    assert [claim.execution.execution_id for claim in (await queue.look()).started] == ["exec-2"]

    gave_up = (await queue.look(now=at(300))).ended
    assert [one.error for one in gave_up] == [
        "waited 300 s for agent 'writer': exec-0.shadow has run since 2026-01-05T09:00:00.000Z"
    ]
    await queue.storage.write(lambda conn: lock_store.release(conn, shadow_of("writer"), 1))
    await queue.accept(execution("exec-3"))
    assert [claim.execution.execution_id for claim in (await queue.look()).started] == ["exec-3"]


async def test_what_runs_beside_an_agent_is_paid_by_it(queue: Queue) -> None:
    """Its limit of dollars a day holds for both."""
    own = await begun(queue, "exec-1", "writer")
    other = await begun(queue, "exec-2", shadow_of("writer"), label=SHADOW)
    for claim, cost in ((own, 0.25), (other, 0.5)):
        await ended(queue, claim, Ending(state=State.COMPLETED, content="ok", cost_usd=cost))
    assert await queue.storage.read(lambda conn: store.spent_since(conn, "writer", NOW)) == 0.75


async def test_what_fails_beside_an_agent_opens_no_circuit_breaker(queue: Queue) -> None:
    """Nobody asked for it."""
    claim = await begun(queue, "exec-1", shadow_of("writer"), label=SHADOW)
    await ended(queue, claim, Ending(state=State.FAILED, kind=FailureKind.CRASH, error="x"))

    found = await queue.storage.read(lambda conn: circuit_store.of_agent(conn, shadow_of("writer")))
    assert list(found) == []
