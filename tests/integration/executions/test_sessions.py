"""Sessions that nobody has used for a long time, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Connection

from kokino.agents import session_store
from kokino.agents.model import Session
from kokino.conversations import store as conversation_store
from kokino.errors import NotFound
from kokino.executions.lifecycle import end
from kokino.executions.model import Ending, State
from kokino.executions.sessions import INTERVAL, Cleanup, Sessions, SessionSweep
from kokino.testing.clock import ManualClock
from tests.integration.executions.given import NOW, Queue, agent, at, execution

WEEK = timedelta(days=7)


@pytest.fixture
def sessions(queue: Queue) -> Sessions:
    """What people ask, on a morning of which they know the time."""
    return Sessions(storage=queue.storage, clock=ManualClock(NOW), max_age=timedelta(days=30))


async def remember(queue: Queue, agent_id: str, *, days: float, cli_type: str = "claude") -> None:
    """A session that was used last so many days ago."""
    session = Session(
        agent_id=agent_id,
        cli_type=cli_type,
        session_id=f"vendor-{agent_id}",
        conversation_id=f"conv-{agent_id}-{cli_type}",
        is_established=True,
        created_at=NOW - timedelta(days=100),
        used_at=NOW - timedelta(days=days),
    )

    def write(conn: Connection) -> None:
        conversation_store.begin(conn, session.conversation_id, agent_id, now=session.created_at)
        session_store.begin(conn, session)

    await queue.storage.write(write)


def removed(cleanup: Cleanup) -> list[tuple[str, str]]:
    """Whose sessions went."""
    return [one.key for one in cleanup.removed]


async def left(sessions: Sessions) -> list[tuple[str, str]]:
    """Whose sessions are there."""
    return [one.key for one in await sessions.everyone()]


async def test_what_was_not_used_for_so_long_is_forgotten(queue: Queue, sessions: Sessions) -> None:
    """A session that was used exactly as long ago as asked goes too; a younger one stays."""
    for name, days in (("old", 40), ("edge", 7), ("young", 6.9)):
        await remember(queue, name, days=days)
    cleanup = await sessions.clean(max_age=WEEK)
    assert removed(cleanup) == [("edge", "claude"), ("old", "claude")]
    assert (cleanup.kept, cleanup.kept_in_use) == (1, 0)
    assert await left(sessions) == [("young", "claude")]


async def test_without_an_age_the_configured_one_counts(queue: Queue, sessions: Sessions) -> None:
    """So that a person forgets no other sessions than the sweep would."""
    await remember(queue, "old", days=31)
    await remember(queue, "young", days=29)
    cleanup = await sessions.clean()
    assert removed(cleanup) == [("old", "claude")]
    assert cleanup.max_age == timedelta(days=30)


async def test_a_dry_run_changes_nothing(queue: Queue, sessions: Sessions) -> None:
    """It names what would go."""
    await remember(queue, "old", days=40)
    assert removed(await sessions.clean(is_dry_run=True)) == [("old", "claude")]
    assert await left(sessions) == [("old", "claude")]


async def test_an_agent_alone_may_be_asked_for(queue: Queue, sessions: Sessions) -> None:
    """Also one that is registered no more and left a session; one that nobody knows is a mistake."""
    await remember(queue, "gone", days=40)
    await remember(queue, "other", days=40)
    cleanup = await sessions.clean(agent_id="gone")
    assert (removed(cleanup), cleanup.kept) == ([("gone", "claude")], 0)
    assert await left(sessions) == [("other", "claude")]
    with pytest.raises(NotFound, match="no agent 'gone'"):
        await sessions.clean(agent_id="gone")


async def test_a_session_that_an_execution_uses_is_never_forgotten(queue: Queue, sessions: Sessions) -> None:
    """However old: it is the one of its CLI type that is kept, and only until the execution has ended."""
    await queue.agents(agent("writer"))
    await remember(queue, "writer", days=40)
    await remember(queue, "writer", days=40, cli_type="codex")
    await queue.accept(execution("exec-1"))
    [claim] = (await queue.look()).started
    cleanup = await sessions.clean(max_age=timedelta(0))
    assert removed(cleanup) == [("writer", "codex")]
    assert (cleanup.kept, cleanup.kept_in_use) == (1, 1)

    ending = Ending(state=State.COMPLETED, content="Hello.")
    await queue.storage.write(lambda conn: end(conn, claim.execution, ending, queue.ids, now=at(-1)))
    assert removed(await sessions.clean(max_age=timedelta(0))) == [("writer", "claude")]


async def test_the_next_execution_starts_afresh_and_the_conversation_stays(
    queue: Queue, sessions: Sessions
) -> None:
    """What was said can still be read; the CLI is not asked to resume what it may have lost."""
    await queue.agents(agent("writer"))
    await remember(queue, "writer", days=40)
    await queue.accept(execution("exec-1"))
    await sessions.clean(max_age=WEEK)
    [claim] = (await queue.look()).started
    assert not claim.execution.is_resume
    assert claim.execution.session_id != "vendor-writer"
    assert claim.execution.conversation_id != "conv-writer-claude"
    assert (
        await queue.storage.read(lambda conn: conversation_store.turns_of(conn, "conv-writer-claude")) == []
    )


async def test_turns_are_counted_for_any_number_of_sessions(queue: Queue, sessions: Sessions) -> None:
    """Also for more than a database takes in one question."""
    for number in range(3):
        await queue.agents(agent(f"a{number}"))
        await queue.accept(execution(f"exec-{number}", f"a{number}"))
    await queue.look()
    known = await sessions.everyone()
    assert [(one.turns, one.is_in_use) for one in known] == [(1, True)] * 3
    ids = [one.session.conversation_id for one in known]
    many = [*ids[:1], *(f"none-{number}" for number in range(2000)), *ids[1:]]
    counts = await queue.storage.read(lambda conn: conversation_store.turn_counts(conn, many))
    assert counts == dict.fromkeys(ids, 1)


async def test_the_brokers_own_probes_are_left_out(queue: Queue, sessions: Sessions) -> None:
    """Their sessions are the broker's business."""
    await remember(queue, "probe.claude", days=40)
    assert await left(sessions) == []
    assert removed(await sessions.clean(max_age=WEEK)) == []


async def test_the_sweep_looks_once_an_hour(queue: Queue, sessions: Sessions) -> None:
    """What becomes too old between two looks goes with the second."""
    sweep = SessionSweep(queue.storage, WEEK)
    await remember(queue, "old", days=8)
    await remember(queue, "soon", days=7 - 0.5 / 24)
    assert await sweep.run(NOW) == NOW + INTERVAL
    assert await left(sessions) == [("soon", "claude")]
    almost = NOW + INTERVAL - timedelta(seconds=1)
    assert await sweep.run(almost) == NOW + INTERVAL
    assert await left(sessions) == [("soon", "claude")]
    assert await sweep.run(NOW + INTERVAL) == NOW + 2 * INTERVAL
    assert await left(sessions) == []
