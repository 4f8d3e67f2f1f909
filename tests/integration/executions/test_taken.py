"""What executions took of tokens and money, over the turns of a session and the tries of one execution."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from kokino.agents import session_store
from kokino.agents.failures import FailureKind
from kokino.executions.attempts.again import Again, Cause
from kokino.executions.attempts.retrying import begin_again
from kokino.executions.lifecycle import end
from kokino.executions.model import Ending, Execution, State
from kokino.storage import Storage
from tests.integration.executions.given import NOW, Queue, agent, execution

SESSION = "session-of-the-cli"


async def running(queue: Queue, execution_id: str) -> Execution:
    """An execution that has been claimed."""
    await queue.accept(execution(execution_id))
    (claim,) = (await queue.look()).started
    return claim.execution


async def ended(queue: Queue, one: Execution, *, is_alive: bool = True, **said: Any) -> Execution:
    """Its end, with what its CLI said of its session's tokens and money."""
    ending = Ending(state=State.COMPLETED, content="done", counts_session=True, **said)

    def write(conn: Connection) -> Execution:
        return end(conn, one, ending, queue.ids, now=NOW, session_id=SESSION, session_is_alive=is_alive)

    return await queue.storage.write(write)


async def begun_again(queue: Queue, one: Execution, cause: Cause, **said: Any) -> Execution:
    """The same execution before its next try."""
    failed = Ending(state=State.FAILED, kind=FailureKind.NETWORK, error="no route", **said)
    another = Again(cause=cause, pause=timedelta(0), reason="no route")
    session = None if cause is Cause.SESSION else SESSION
    return await queue.storage.write(
        lambda conn: begin_again(conn, one, another, queue.ids, ending=failed, session_id=session, now=NOW)
    )


async def test_each_turn_of_a_session_has_its_own_share(storage: Storage) -> None:
    """Where the CLI counts from the first turn on."""
    queue = Queue(storage)
    await queue.agents(agent("writer"))
    first = await ended(queue, await running(queue, "a"), usage={"inputTokens": 60}, cost_usd=0.5)
    second = await ended(queue, await running(queue, "b"), usage={"inputTokens": 100}, cost_usd=0.75)
    assert (first.usage, first.cost_usd) == ({"inputTokens": 60}, 0.5)
    assert (second.usage, second.cost_usd) == ({"inputTokens": 40}, 0.25)


async def test_work_in_another_session_counts_whole(storage: Storage) -> None:
    """A CLI that did not know the session any more has counted from the beginning of a new one."""
    queue = Queue(storage)
    await queue.agents(agent("writer"))
    await ended(queue, await running(queue, "a"), usage={"inputTokens": 60})
    astray = await ended(queue, await running(queue, "b"), usage={"inputTokens": 100}, is_alive=False)
    assert astray.usage == {"inputTokens": 100}


async def test_what_failed_tries_took_is_part_of_the_execution(storage: Storage) -> None:
    """The money is spent, whatever the last try comes to: spend limits count it."""
    queue = Queue(storage)
    await queue.agents(agent("writer"))
    one = await running(queue, "a")
    one = await begun_again(
        queue, one, Cause.RETRY, usage={"inputTokens": 5, "outputTokens": 1}, cost_usd=0.5
    )
    one = await begun_again(queue, one, Cause.RETRY)
    last = Ending(state=State.COMPLETED, content="done", usage={"inputTokens": 7}, cost_usd=0.25)
    whole = await storage.write(lambda conn: end(conn, one, last, queue.ids, now=NOW))
    assert whole.usage == {"inputTokens": 12, "outputTokens": 1}
    assert whole.cost_usd == 0.75


async def test_tries_in_one_session_are_counted_once(storage: Storage) -> None:
    """What a CLI counts over the whole session holds the earlier tries; of a new session it does not."""
    queue = Queue(storage)
    await queue.agents(agent("writer"))
    one = await running(queue, "a")
    one = await begun_again(queue, one, Cause.RETRY, usage={"inputTokens": 30}, counts_session=True)
    one = await begun_again(queue, one, Cause.RETRY, usage={"inputTokens": 50}, counts_session=True)
    assert one.usage == {"inputTokens": 50}
    one = await begun_again(queue, one, Cause.SESSION, usage={"inputTokens": 9}, counts_session=True)
    whole = await ended(queue, one, usage={"inputTokens": 11})
    assert whole.usage == {"inputTokens": 50 + 9 + 11}
    session = await storage.read(lambda conn: session_store.get(conn, "writer", "claude"))
    assert session is not None
    assert session.taken == {"inputTokens": 11}
