"""Executions and records on both databases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, update

from kokino.agents.failures import FailureKind
from kokino.agents.model import Mode
from kokino.executions import notices, store, summary_store
from kokino.executions.model import TRANSITIONS, Ending, Record, State
from kokino.executions.output import store as record_store
from kokino.executions.overdue.stuck import Reason, Stuck
from kokino.executions.queue import store as queue_store
from kokino.storage import Storage, open_storage
from kokino.storage.schema import executions
from kokino.telemetry import store as telemetry
from kokino.telemetry.model import EventType
from tests.integration.executions.given import Queue, agent, at, execution


def started(conn: Connection, execution_id: str) -> None:
    """Set one running."""
    found = store.get(conn, execution_id)
    assert found is not None
    fields: dict[str, Any] = {"cli_type": "codex", "account": "codex:~", "moved_from": "claude"}
    store.start(
        conn,
        found,
        **fields,
        conversation_id="conv-1",
        session_id="s-1",
        driver="scripted",
        mode=Mode.HEADLESS,
        is_resume=True,
        lock_token=7,
        now=at(1),
    )


async def test_an_execution_comes_back_as_it_was_accepted_with_its_number(queue: Queue) -> None:
    """Numbers are the order of acceptance over all agents."""
    first = execution("a", metadata={"ticket": 7}, label="probe", timeout=timedelta(milliseconds=1500))
    found = await queue.accept(first, execution("b", "reviewer"))
    assert found[0] == replace(first, number=1)
    assert found[1].number == 2
    assert await queue.get("a") == found[0]


async def test_every_field_of_a_life_is_kept(queue: Queue, storage: Storage) -> None:
    """Queued, running on what its route said, ended with all that is known."""
    [accepted] = await queue.accept(execution("a"))
    await storage.write(lambda conn: started(conn, "a"))
    await storage.write(lambda conn: store.note_start(conn, "a", pid=4711, attempt=1))
    ending = Ending(
        state=State.FAILED,
        kind=FailureKind.AUTH,
        error="401",
        exit_code=1,
        content="so far",
        usage={"inputTokens": 3},
        cost_usd=0.25,
        cli_version="2.1",
    )
    ended = await storage.write(lambda conn: store.end(conn, "a", ending, now=at(4)))
    assert ended == replace(
        accepted,
        state=State.FAILED,
        kind=FailureKind.AUTH,
        error="401",
        cli_type="codex",
        account="codex:~",
        moved_from="claude",
        conversation_id="conv-1",
        session_id="s-1",
        driver="scripted",
        is_resume=True,
        lock_token=7,
        pid=4711,
        attempts=1,
        started_at=at(1),
        ended_at=at(4),
        exit_code=1,
        content="so far",
        usage={"inputTokens": 3},
        cost_usd=0.25,
        cli_version="2.1",
    )
    assert ended.duration == timedelta(seconds=3)


async def test_only_the_table_of_transitions_lets_a_state_change(queue: Queue, storage: Storage) -> None:
    """Every change that it does not name is a bug, raises, and changes nothing."""

    def change(conn: Connection) -> None:
        conn.execute(update(executions).where(executions.c.execution_id == name).values(state=before.value))
        if after is State.RUNNING:
            started(conn, name)
        elif after is State.QUEUED:
            store.requeue(conn, execution(name), cli_type="claude", account="claude:~", mode="headless")
        else:
            store.end(conn, name, Ending(state=after), now=at(1))

    tried = [(before, after) for before in State for after in State]
    for before, after in tried:
        name = f"{before}-to-{after}"
        await queue.accept(execution(name))
        if after in TRANSITIONS.get(before, ()):
            await storage.write(change)
            assert (await queue.get(name)).state is after
        else:
            with pytest.raises(ValueError, match=f"execution '{name}' cannot become {after.value}"):
                await storage.write(change)
            assert (await queue.get(name)).state is State.QUEUED


async def test_cancelling_twice_keeps_the_first_instant(queue: Queue, storage: Storage) -> None:
    """It is when somebody first wanted the end."""
    await queue.accept(execution("a"))
    for seconds in (1, 2):
        await storage.write(lambda conn, s=seconds: store.request_cancel(conn, "a", now=at(s)))  # type: ignore[misc]
    assert (await queue.get("a")).cancel_requested_at == at(1)


async def test_the_queue_knows_its_heads_lengths_and_deadlines(queue: Queue, storage: Storage) -> None:
    """The first of each agent, how many wait, and who waits too long."""
    hurried = timedelta(seconds=10)
    await queue.accept(
        execution("a"),
        execution("b", "reviewer", queue_timeout=hurried),
        execution("c", queued_at=at(-1)),
    )
    heads = await storage.read(lambda conn: queue_store.heads(conn, busy=()))
    assert [head.execution_id for head in heads] == ["a", "b"]
    free = await storage.read(lambda conn: queue_store.heads(conn, busy={"writer"}))
    assert [head.execution_id for head in free] == ["b"]
    assert await storage.read(queue_store.lengths) == {"writer": 2, "reviewer": 1}
    assert await storage.read(queue_store.next_deadline) == at(10)
    late = await storage.read(lambda conn: queue_store.overdue(conn, at(10)))
    assert [one.execution_id for one in late] == ["b"]


async def test_an_empty_queue_is_due_never(storage: Storage) -> None:
    """Nothing to wait for but a wake."""
    assert await storage.read(queue_store.next_deadline) is None


async def test_pages_go_back_from_the_newest(queue: Queue, storage: Storage) -> None:
    """By agent and state, below a number."""
    await queue.accept(*(execution(name) for name in "abc"), execution("d", "reviewer"))

    async def page(**filters: Any) -> list[str]:
        asked = {"agent_id": None, "state": None, "before": None, "limit": 2, **filters}
        return [one.execution_id for one in await storage.read(lambda conn: store.page(conn, **asked))]

    assert await page() == ["d", "c"]
    assert await page(before=3) == ["b", "a"]
    assert await page(agent_id="reviewer") == ["d"]
    assert await page(state=State.RUNNING) == []


def record(number: int, stream: str = "stdout") -> Record:
    """A line that a CLI wrote."""
    return Record(number=number, stream=stream, body=f"line {number}", size=6, written_at=at(number))


async def test_records_are_read_in_order_from_any_number(queue: Queue, storage: Storage) -> None:
    """And the last number is told, for a further try that numbers on behind it."""
    await queue.accept(execution("a"), execution("b"))
    added = [record(1), record(2, "stderr"), record(3)]
    await storage.write(lambda conn: record_store.add(conn, "a", added))
    await storage.write(lambda conn: record_store.add(conn, "a", []))
    await storage.write(lambda conn: record_store.add(conn, "b", [record(1)]))
    assert await storage.read(lambda conn: record_store.after(conn, "a", 1, limit=5)) == added[1:]
    assert await storage.read(lambda conn: record_store.after(conn, "a", 0, limit=1)) == added[:1]
    assert await storage.read(lambda conn: record_store.last_number(conn, "a")) == 3
    assert await storage.read(lambda conn: record_store.last_number(conn, "c")) == 0
    latest = await storage.read(lambda conn: record_store.latest(conn, "writer", limit=2))
    assert [(owner, one.number) for owner, one in latest] == [("a", 3), ("b", 1)]


async def test_summaries_tell_of_what_runs_and_what_ended_last(queue: Queue, storage: Storage) -> None:
    """One line for each agent, without prompts and answers; strangers' executions are in no such line."""
    await queue.agents(agent("writer"))
    await queue.accept(execution("a"), execution("b"), execution("c"), execution("x", "stranger"))
    for name in ("a", "b"):
        await storage.write(lambda conn, name=name: started(conn, name))  # type: ignore[misc]
    done = Ending(state=State.COMPLETED, content="hello")
    await storage.write(lambda conn: store.end(conn, "a", done, now=at(3)))
    assert [one.execution_id for one in await storage.read(summary_store.running)] == ["b"]
    latest = await storage.read(lambda conn: summary_store.latest(conn, limit=2))
    assert [one.execution_id for one in latest] == ["x", "c"]
    last = await storage.read(summary_store.last_ended)
    assert set(last) == {"writer"}
    assert (last["writer"].execution_id, last["writer"].duration) == ("a", timedelta(seconds=2))


@pytest.mark.parametrize("query", [queue_store.unfinished_count, store.unfinished_of, queue_store.length])
async def test_what_an_agent_has_unfinished_is_found_without_a_walk_over_all_it_ever_ran(
    new_sqlite_url: str, query: Callable[[Connection, str], object]
) -> None:
    """Each submission asks for it in its write transaction, which all others wait for."""
    storage = await open_storage(new_sqlite_url)
    try:
        plan = await storage.read(lambda conn: plan_of(conn, lambda: query(conn, "writer")))
    finally:
        await storage.close()
    assert (
        [step for step in plan if "executions" in step]
        == [step for step in plan if "ix_executions_agent_id_state_number (agent_id=? AND state=?)" in step]
        != []
    )


async def test_what_ran_last_in_a_terminal_is_found_without_sorting_all_that_ran(new_sqlite_url: str) -> None:
    """They come with their prompts, which may have megabytes."""
    storage = await open_storage(new_sqlite_url)
    try:
        plan = await storage.read(lambda conn: plan_of(conn, lambda: store.last_in_terminal(conn, "writer")))
    finally:
        await storage.close()
    assert plan == ["SEARCH executions USING INDEX ix_executions_agent_id_number (agent_id=?)"]


def plan_of(conn: Connection, ask: Callable[[], object]) -> list[str]:
    """How SQLite goes about the one query that `ask` makes."""
    asked: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        asked.append((statement, values))

    event.listen(conn, "before_cursor_execute", note)
    ask()
    event.remove(conn, "before_cursor_execute", note)
    [(statement, values)] = asked
    return [row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]


async def test_each_reason_for_being_stuck_is_told_once(queue: Queue, storage: Storage) -> None:
    """A broker that takes an execution over does not tell again what the one before it has told."""
    [accepted] = await queue.accept(execution("a"))
    await queue.accept(execution("b"))
    found = [
        Stuck(reason=Reason.SILENCE, message="has written nothing for 60 s"),
        Stuck(reason=Reason.SILENCE, message="has written nothing for 61 s"),
        Stuck(reason=Reason.TOOL, message="waits 5 min for a tool: Bash"),
    ]
    for one in (replace(accepted, execution_id="b"), accepted):
        for each in found:
            await storage.write(
                lambda conn, one=one, each=each: notices.tell_stuck(conn, one, each, now=at(1))  # type: ignore[misc]
            )
    told = await storage.read(lambda conn: telemetry.recent(conn, type=EventType.EXECUTION_STUCK))
    assert [(note.execution_id, note.message) for note in reversed(told)] == [
        (id, each.message) for id in ("b", "a") for each in (found[0], found[2])
    ]
