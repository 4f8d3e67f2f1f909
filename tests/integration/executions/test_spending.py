"""What an agent has spent today, and what its limit does to the queue, on both databases."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection

from kokino.agents.model import Limits
from kokino.executions import store
from kokino.executions.lifecycle import end
from kokino.executions.model import Ending, Execution, State
from kokino.executions.queue.claiming import Claimed
from kokino.executions.queue.spending import midnight
from tests.integration.executions.given import NOW, Queue, agent, at, execution

DAY = timedelta(days=1)


async def run(
    queue: Queue,
    execution_id: str,
    cost: float | None,
    *,
    seconds: float,
    agent_id: str = "writer",
    label: str | None = None,
) -> None:
    """Accept, start and end one; it ends so long after nine o'clock."""
    queued_at = at(seconds - 10)
    await queue.accept(execution(execution_id, agent_id, queued_at=queued_at, label=label))
    claimed: Claimed = await queue.look(now=queued_at)
    assert [one.execution.execution_id for one in claimed.started] == [execution_id]
    found = await queue.get(execution_id)

    def write(conn: Connection) -> Execution:
        ending = Ending(state=State.COMPLETED, content="done", cost_usd=cost)
        return end(conn, found, ending, queue.ids, now=at(seconds))

    await queue.storage.write(write)


async def spent(queue: Queue, seconds: float, agent_id: str = "writer") -> float:
    """What the agent has spent on the day of that instant."""
    since = midnight(at(seconds))
    return await queue.storage.read(lambda conn: store.spent_since(conn, agent_id, since))


async def test_a_days_spending_is_the_sum_of_what_ended_in_it(queue: Queue) -> None:
    """Not what others spent, not what probes cost, and what tells no cost costs nothing."""
    await queue.agents(agent("writer"), agent("editor"))
    assert await spent(queue, 0) == 0
    until_midnight = (midnight(NOW) + DAY - NOW).total_seconds()
    await run(queue, "a", 1.25, seconds=100)
    await run(queue, "b", None, seconds=200)
    await run(queue, "c", 8.0, seconds=250, agent_id="editor")
    await run(queue, "d", 16.0, seconds=280, label="probe")
    await run(queue, "e", 0.5, seconds=300)
    assert await spent(queue, 400) == 1.75
    await run(queue, "f", 2.0, seconds=until_midnight)
    await run(queue, "g", 4.0, seconds=until_midnight + 20)
    assert await spent(queue, until_midnight + 30) == 6.0
    assert await spent(queue, until_midnight + 30, "editor") == 0


async def test_what_waits_is_refused_when_its_turn_comes_and_the_money_is_gone(queue: Queue) -> None:
    """The next day's runs; a probe of the same agent is not asked."""
    await queue.agents(agent("writer", limits=Limits(spend_usd=1.0)))
    await run(queue, "a", 1.5, seconds=100)
    await queue.accept(execution("b", queued_at=at(100)))
    (refused,) = (await queue.look(now=at(120))).ended
    assert (refused.execution_id, refused.state) == ("b", State.REFUSED)
    assert "has spent $1.50 of the $1.00" in str(refused.error)

    await queue.accept(execution("p", label="probe", queued_at=at(130)))
    assert [one.execution.execution_id for one in (await queue.look(now=at(130))).started] == ["p"]
