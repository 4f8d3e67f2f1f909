"""What one look at the queues starts, refuses and leaves, and what an end leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import Connection

from kokino.agents import circuit_store, lock_store, session_store, traffic_store
from kokino.agents import store as agent_store
from kokino.agents.failures import FailureKind
from kokino.agents.model import Fallback, Mode, Pause, Scope
from kokino.conversations import store as conversations
from kokino.executions import store
from kokino.executions.lifecycle import end
from kokino.executions.model import Ending, Execution, State
from kokino.executions.queue.claiming import Claimed
from kokino.storage import Storage
from kokino.telemetry import store as telemetry
from tests.integration.executions.given import NOW, Queue, agent, at, execution

COMPLETED = Ending(state=State.COMPLETED, content="hello")
FAILED = Ending(state=State.FAILED, kind=FailureKind.AUTH, error="401")


def names(claimed: Claimed) -> tuple[list[str], list[str]]:
    """Ids of what was started, and of what was ended."""
    return (
        [one.execution.execution_id for one in claimed.started],
        [one.execution_id for one in claimed.ended],
    )


async def finish(
    queue: Queue,
    execution_id: str,
    ending: Ending = COMPLETED,
    *,
    session_id: str | None = "vendor",
    is_alive: bool = True,
) -> Execution:
    """Write an end, as the runner does."""

    def write(conn: Connection) -> Execution:
        return end(
            conn, found, ending, queue.ids, now=at(5), session_id=session_id, session_is_alive=is_alive
        )

    found = await queue.get(execution_id)
    return await queue.storage.write(write)


async def disable(queue: Queue, target: str | None) -> None:
    """Disable claude."""
    fallback = Fallback(cli_type="claude", reason="logins fail", since=NOW, target=target, set_by="ada")
    await queue.storage.write(lambda conn: traffic_store.disable(conn, fallback))


async def pause(queue: Queue, scope: Scope, scope_id: str) -> None:
    """Pause a scope."""
    wanted = Pause(scope=scope, scope_id=scope_id, reason="quota", since=NOW, set_by="ada")
    await queue.storage.write(lambda conn: traffic_store.pause(conn, wanted))


async def test_one_at_a_time_per_agent_first_come_first_served(queue: Queue) -> None:
    """The next one starts when the one before has ended, in the order of acceptance."""
    await queue.agents(agent("writer"))
    await queue.accept(execution("a"), execution("b"), execution("c"))
    for name in "abc":
        assert names(await queue.look()) == ([name], [])
        assert names(await queue.look()) == ([], [])
        await finish(queue, name)


async def test_agents_run_beside_each_other_up_to_the_capacity(queue: Queue) -> None:
    """Who was accepted first is started first."""
    await queue.agents(*(agent(name) for name in "xyz"))
    await queue.accept(execution("a", "z"), execution("b", "y"), execution("c", "x"))
    assert names(await queue.look(capacity=2)) == (["a", "b"], [])
    assert names(await queue.look(capacity=0)) == ([], [])
    assert names(await queue.look(capacity=1)) == (["c"], [])


async def test_who_waited_as_long_as_it_may_is_refused(queue: Queue) -> None:
    """With the kind that says it waited, not that it failed; what comes behind it keeps its own time."""
    await queue.agents(agent("writer"))
    hurried = timedelta(seconds=10)
    await queue.accept(execution("a"), execution("b", queue_timeout=hurried), execution("c"))
    await queue.look()
    assert names(await queue.look(now=at(9))) == ([], [])
    assert names(await queue.look(now=at(10))) == ([], ["b"])
    refused = await queue.get("b")
    assert (refused.state, refused.kind) == (State.REFUSED, FailureKind.LOCK_TIMEOUT)
    assert str(refused.error).startswith(
        "waited 10 s for agent 'writer': a has run since 2026-01-05T09:00:00.000Z"
    )
    assert (await queue.get("c")).state is State.QUEUED


async def test_without_a_way_to_run_it_is_refused_at_once(queue: Queue) -> None:
    """Its caller hears of it now, not after the queue timeout; the ones behind it follow, look by look."""
    await queue.agents(agent("writer"))
    await queue.accept(execution("a"), execution("b"))
    await disable(queue, "nowhere")
    assert names(await queue.look()) == ([], ["a"])
    assert names(await queue.look()) == ([], ["b"])
    refused = await queue.get("a")
    assert (refused.state, refused.kind) == (State.REFUSED, FailureKind.REFUSED)
    assert "its fallback 'nowhere' is no CLI type here" in str(refused.error)


async def test_a_parked_agent_waits_and_runs_when_its_cli_type_is_enabled(queue: Queue) -> None:
    """It holds up nobody else meanwhile."""
    await queue.agents(agent("writer", fallback="park"), agent("reviewer", cli_type="codex"))
    await queue.accept(execution("a"), execution("b", "reviewer"))
    await disable(queue, None)
    assert names(await queue.look()) == (["b"], [])
    await queue.storage.write(lambda conn: traffic_store.enable(conn, "claude"))
    assert names(await queue.look()) == (["a"], [])


async def test_a_moved_execution_runs_on_the_target_in_a_session_of_its_own(queue: Queue) -> None:
    """Its label says where it came from; the session on its own CLI type is not touched."""
    await queue.agents(agent("writer"))
    await queue.accept(execution("a"), execution("b"), execution("c"))
    await queue.look()
    await finish(queue, "a", session_id="on-claude")
    await disable(queue, "codex")
    [moved] = (await queue.look()).started
    assert (moved.execution.cli_type, moved.execution.account) == ("codex", "codex:~")
    assert (moved.execution.moved_from, moved.execution.is_resume) == ("claude", False)
    await finish(queue, "b", session_id="on-codex")
    await queue.storage.write(lambda conn: traffic_store.enable(conn, "claude"))
    [back] = (await queue.look()).started
    assert (back.execution.moved_from, back.execution.session_id) == (None, "on-claude")


@pytest.mark.parametrize(
    ("scope", "scope_id"),
    [(Scope.ALL, ""), (Scope.AGENT, "writer"), (Scope.POOL, "default"), (Scope.ACCOUNT, "claude:~")],
)
async def test_what_is_paused_waits_in_its_queue(queue: Queue, scope: Scope, scope_id: str) -> None:
    """And starts where it stood once the pause is lifted."""
    await queue.agents(agent("writer"))
    await queue.accept(execution("a"))
    await pause(queue, scope, scope_id)
    assert names(await queue.look()) == ([], [])
    await queue.storage.write(lambda conn: traffic_store.resume(conn, scope, scope_id))
    assert names(await queue.look()) == (["a"], [])


async def test_a_used_up_quota_parks_the_account_that_it_ran_on(queue: Queue) -> None:
    """Until when the record told; a probe that ends well afterwards lifts nothing."""
    await queue.agents(agent("writer"), agent("editor"), agent("probe.claude"))
    await queue.accept(execution("a"), execution("p", "probe.claude", label="probe"))
    await queue.look()
    used_up = Ending(state=State.FAILED, kind=FailureKind.QUOTA, error="none left", resets_at=at(600))
    await finish(queue, "a", used_up)
    await finish(queue, "p")
    await queue.accept(execution("b", "editor", queued_at=at(500)))
    waits = await queue.look(now=at(599))
    assert (names(waits), waits.due_at) == (([], []), at(600))
    assert names(await queue.look(now=at(600))) == (["b"], [])


async def test_a_moved_execution_parks_the_account_of_its_fallback(queue: Queue) -> None:
    """That one's quota is used up, not its own CLI type's."""
    await queue.agents(agent("writer"))
    await queue.accept(execution("a"))
    await disable(queue, "codex")
    await queue.look()
    await finish(queue, "a", Ending(state=State.FAILED, kind=FailureKind.QUOTA, error="none left"))
    (pause_,) = await queue.storage.read(traffic_store.paused)
    assert (pause_.scope_id, pause_.ends_at) == ("codex:~", at(5) + timedelta(minutes=15))


async def test_a_probe_runs_on_what_is_disabled(queue: Queue) -> None:
    """Nobody else can tell whether it works again."""
    await queue.agents(agent("probe.claude"))
    await queue.accept(execution("p", "probe.claude", label="probe"))
    await disable(queue, "codex")
    [claim] = (await queue.look()).started
    assert (claim.execution.cli_type, claim.execution.label) == ("claude", "probe")


async def test_the_executions_of_a_removed_agent_are_refused(queue: Queue) -> None:
    """Nothing that was accepted stays without an end."""
    await queue.agents(agent("writer"))
    await queue.accept(execution("a"))
    await queue.storage.write(lambda conn: agent_store.forget(conn, "writer"))
    assert names(await queue.look()) == ([], ["a"])
    assert (await queue.get("a")).error == "agent 'writer' was removed"


async def test_what_starts_has_the_lock_a_conversation_and_an_event(queue: Queue, storage: Storage) -> None:
    """All in one transaction."""
    await queue.agents(agent("writer"))
    await queue.accept(execution("a"))
    [claim] = (await queue.look(now=at(1))).started
    running = await queue.get("a")
    assert claim.execution == running
    assert (running.state, running.started_at, running.lock_token) == (State.RUNNING, at(1), 1)
    lock = (await storage.read(lock_store.held))["writer"]
    assert (lock.execution_id, lock.token) == ("a", 1)
    turns = await storage.read(lambda conn: conversations.turns_of(conn, str(running.conversation_id)))
    assert [(turn.role.value, turn.content) for turn in turns] == [("user", "Say hello.")]
    [event] = await storage.read(telemetry.recent)
    assert (event.type, event.execution_id) == ("EXECUTION_STARTED", "a")


async def test_an_end_frees_the_lock_and_leaves_a_turn_and_an_event(queue: Queue, storage: Storage) -> None:
    """Telemetry counts from when it started."""
    await queue.agents(agent("writer"))
    await queue.accept(execution("a"))
    await queue.look(now=at(1))
    ended = await finish(queue, "a")
    assert await storage.read(lock_store.held) == {}
    turns = await storage.read(lambda conn: conversations.turns_of(conn, str(ended.conversation_id)))
    assert [(turn.role.value, turn.content) for turn in turns][1:] == [("assistant", "hello")]
    event = (await storage.read(lambda conn: telemetry.recent(conn, limit=1)))[0]
    assert (event.type, event.duration_ms) == ("EXECUTION_COMPLETED", 4000)


async def test_an_end_is_written_once(queue: Queue) -> None:
    """A second one is a bug, and leaves the first as it was."""
    await queue.agents(agent("writer"))
    await queue.accept(execution("a"))
    await queue.look()
    await finish(queue, "a")
    with pytest.raises(ValueError, match="cannot become failed"):
        await finish(queue, "a", FAILED)
    assert (await queue.get("a")).state is State.COMPLETED


@dataclass(frozen=True, kw_only=True)
class Turn:
    """How a first turn ended, and what the second one resumes."""

    why: str
    ending: Ending
    #: What the CLI called its session.
    named: str | None
    is_alive: bool = True
    #: The session of the second turn; None for a new one.
    resumed: str | None


TURNS = [
    Turn(
        why="it completed under the id that the CLI named", ending=COMPLETED, named="vendor", resumed="vendor"
    ),
    Turn(why="the CLI named no id, so ours holds", ending=COMPLETED, named=None, resumed="ours"),
    Turn(
        why="a refused first turn still named its session (claude with 401)",
        ending=FAILED,
        named="vendor",
        resumed="vendor",
    ),
    Turn(why="one that never got so far leaves nothing to resume", ending=FAILED, named=None, resumed=None),
    Turn(
        why="the CLI no longer knows the session", ending=FAILED, named="vendor", is_alive=False, resumed=None
    ),
]


@pytest.mark.parametrize("turn", TURNS, ids=lambda turn: turn.why)
async def test_the_next_turn_resumes_only_what_the_cli_can_resume(queue: Queue, turn: Turn) -> None:
    """Otherwise it begins a new session, in a new conversation."""
    await queue.agents(agent("writer"))
    await queue.accept(execution("a"), execution("b"))
    first = (await queue.look()).started[0].execution
    assert first.is_resume is False
    await finish(queue, "a", turn.ending, session_id=turn.named, is_alive=turn.is_alive)
    second = (await queue.look()).started[0].execution
    assert second.is_resume is (turn.resumed is not None)
    assert (second.conversation_id == first.conversation_id) is second.is_resume
    assert (second.session_id == first.session_id) is (turn.resumed == "ours")
    assert (second.session_id == "vendor") is (turn.resumed == "vendor")


async def test_a_session_that_was_ended_meanwhile_stays_ended(queue: Queue, storage: Storage) -> None:
    """The end of its last execution does not bring it back."""
    await queue.agents(agent("writer"))
    await queue.accept(execution("a"))
    await queue.look()
    await storage.write(lambda conn: session_store.forget(conn, "writer"))
    await finish(queue, "a")
    assert await storage.read(session_store.everyone) == []


async def test_failures_in_tmux_open_a_circuit_of_their_own(queue: Queue) -> None:
    """Round its disabled way an agent that fails there too is refused after five, and tried again later."""
    await queue.agents(agent("writer"))
    await disable(queue, None)
    ids = [f"e{number}" for number in range(5)]
    await queue.accept(*(execution(one) for one in ids))
    for one in ids:
        await queue.look()
        assert (await finish(queue, one, FAILED)).mode == "tmux"
    await queue.accept(execution("held"))
    assert names(await queue.look(now=at(6))) == ([], [])
    found = await queue.storage.read(circuit_store.not_closed)
    assert {key: one.failures for key, one in found.items()} == {("writer", "claude@tmux"): 5}
    assert names(await queue.look(now=at(66))) == (["held"], [])
    await finish(queue, "held")
    assert await queue.storage.read(circuit_store.not_closed) == {}


@pytest.mark.parametrize("mode", [Mode.TMUX, Mode.SHADOW])
async def test_the_own_way_of_an_agent_in_tmux_has_its_own_circuit(queue: Queue, mode: Mode) -> None:
    """It goes round nothing there: its failures are kept under its CLI type's name."""
    await queue.agents(agent("writer", mode=mode))
    await queue.accept(execution("a", mode="tmux"))
    await queue.look()
    await finish(queue, "a", FAILED)
    [circuit] = await queue.storage.read(lambda conn: circuit_store.of_agent(conn, "writer"))
    assert (circuit.cli_type, circuit.failures) == ("claude", 1)


async def test_the_present_conversation_is_that_of_the_last_execution(queue: Queue) -> None:
    """An agent that comes back from another CLI type goes on with the one that it had before."""
    await queue.agents(agent("writer"))
    await queue.accept(execution("a"), execution("b"), execution("c"))
    at_first = await talked(queue, "a")
    await disable(queue, "codex")
    elsewhere = await talked(queue, "b")
    await queue.storage.write(lambda conn: traffic_store.enable(conn, "claude"))
    assert (await talked(queue, "c"), elsewhere != at_first) == (at_first, True)
    assert await queue.storage.read(lambda conn: store.present_conversation(conn, "silent")) is None


async def talked(queue: Queue, execution_id: str) -> str | None:
    """Run it; the conversation that its agent is in then."""
    assert names(await queue.look()) == ([execution_id], [])
    await finish(queue, execution_id)
    return await queue.storage.read(lambda conn: store.present_conversation(conn, "writer"))
