"""Circuit breakers and what their changes leave behind, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from kokino.agents import circuit_store, circuits
from kokino.agents.breaker import COOLING, Circuit, CircuitState, Verdict
from kokino.agents.circuits import Trier
from kokino.storage import Storage
from kokino.telemetry import store as telemetry
from kokino.telemetry.model import Event

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def by(execution_id: str, agent_id: str = "writer", cli_type: str = "claude") -> Trier:
    """An execution."""
    return Trier(execution_id=execution_id, agent_id=agent_id, cli_type=cli_type, account="team")


async def note(storage: Storage, verdict: Verdict, execution_id: str = "exec", times: int = 1) -> None:
    """So many ends of the writer's executions on claude, a second apart."""

    def write(conn: Connection, number: int) -> None:
        at = NOW + timedelta(seconds=number)
        circuits.note_end(conn, by(execution_id), verdict, kind="auth", error="401", now=at)

    for number in range(times):
        await storage.write(lambda conn, number=number: write(conn, number))  # type: ignore[misc]


async def get(storage: Storage, agent_id: str = "writer", cli_type: str = "claude") -> Circuit:
    """The circuit as it is stored."""
    return await storage.read(lambda conn: circuit_store.get(conn, agent_id, cli_type))


async def told(storage: Storage) -> list[Event]:
    """All events, in the order in which they were written."""
    return sorted(await storage.read(telemetry.recent), key=lambda event: event.event_id or 0)


async def begin_trial(storage: Storage, execution_id: str) -> None:
    """The writer's next execution tries."""

    def write(conn: Connection) -> None:
        found = circuit_store.get(conn, "writer", "claude")
        circuits.begin_trial(conn, found, by(execution_id), now=NOW)

    await storage.write(write)


async def test_a_circuit_comes_back_as_it_was_put(storage: Storage) -> None:
    """Every field, and changed by putting it again; nothing known is a closed one."""
    opened = Circuit(
        agent_id="writer",
        cli_type="claude",
        state=CircuitState.HALF_OPEN,
        failures=7,
        last_failure_at=NOW,
        last_kind="auth",
        opened_at=NOW,
        retry_at=NOW + COOLING,
        trial_id="exec-9",
    )
    assert await get(storage) == Circuit(agent_id="writer", cli_type="claude")
    for circuit in (Circuit(agent_id="writer", cli_type="claude", failures=1), opened):
        await storage.write(lambda conn, circuit=circuit: circuit_store.put(conn, circuit))  # type: ignore[misc]
    assert await get(storage) == opened
    assert await storage.read(circuit_store.everything) == {("writer", "claude"): opened}


async def test_the_fifth_failure_opens_it_and_says_so(storage: Storage) -> None:
    """With who, on what, why, and when the next try is."""
    await note(storage, Verdict.BAD, times=5)
    opened_at = NOW + timedelta(seconds=4)
    assert (await get(storage)).retry_at == opened_at + COOLING
    (event,) = await told(storage)
    assert (event.type, event.at, event.agent_id, event.cli_type, event.account, event.kind) == (
        "CIRCUIT_OPENED",
        opened_at,
        "writer",
        "claude",
        "team",
        "auth",
    )
    assert event.message == "5 failures in a row, the last one auth: 401"
    assert event.data == {"from": "closed", "failures": 5, "retryAt": "2026-01-05T09:01:04.000Z"}


async def test_a_trial_is_told_when_it_begins_and_when_it_closes_the_circuit(storage: Storage) -> None:
    """And only then: who begins after a trial that said nothing half-opens nothing."""
    await note(storage, Verdict.BAD, times=5)
    await begin_trial(storage, "exec-a")
    await note(storage, Verdict.NEITHER, "exec-a")
    await begin_trial(storage, "exec-b")
    await note(storage, Verdict.GOOD, "exec-b")
    assert (await get(storage)).state is CircuitState.CLOSED
    assert [(event.type, event.execution_id) for event in await told(storage)] == [
        ("CIRCUIT_OPENED", "exec"),
        ("CIRCUIT_HALF_OPENED", "exec-a"),
        ("CIRCUIT_CLOSED", "exec-b"),
    ]


async def test_successes_write_nothing(storage: Storage) -> None:
    """Most executions succeed after one that did: the row is not even made."""
    await note(storage, Verdict.GOOD, times=3)
    assert await storage.read(circuit_store.everything) == {}
    assert await told(storage) == []


async def test_a_trial_that_never_started_frees_its_place(storage: Storage) -> None:
    """Only where it is the one that tries."""
    await note(storage, Verdict.BAD, times=5)
    await begin_trial(storage, "exec-9")
    await storage.write(lambda conn: circuit_store.free_trial(conn, "exec-8"))
    assert (await get(storage)).trial_id == "exec-9"
    await storage.write(lambda conn: circuit_store.free_trial(conn, "exec-9"))
    freed = await get(storage)
    assert (freed.state, freed.trial_id) == (CircuitState.HALF_OPEN, None)


async def test_those_that_are_not_closed_are_found_and_forgotten(storage: Storage) -> None:
    """A counted failure alone is none of them."""

    def write(conn: Connection) -> None:
        for agent_id, cli_type, state in (
            ("a", "claude", CircuitState.OPEN),
            ("a", "codex", CircuitState.HALF_OPEN),
            ("b", "claude", CircuitState.OPEN),
            ("c", "claude", CircuitState.CLOSED),
        ):
            circuit_store.put(conn, Circuit(agent_id=agent_id, cli_type=cli_type, state=state, failures=1))

    async def found(cli_type: str | None = None) -> list[tuple[str, str]]:
        return sorted(await storage.read(lambda conn: circuit_store.not_closed(conn, cli_type=cli_type)))

    await storage.write(write)
    assert await found() == [("a", "claude"), ("a", "codex"), ("b", "claude")]
    assert await found("claude") == [("a", "claude"), ("b", "claude")]
    await storage.write(lambda conn: circuit_store.forget(conn, "a"))
    assert await found() == [("b", "claude")]


async def test_closing_forgets_the_failures_and_tells_of_those_that_were_open(storage: Storage) -> None:
    """Closing again changes nothing."""
    await note(storage, Verdict.BAD, times=5)

    def close(conn: Connection) -> int:
        return circuits.close(conn, circuit_store.of_agent(conn, "writer"), "ada: reset", now=NOW)

    assert await storage.write(close) == 1
    assert await storage.write(close) == 0
    assert (await get(storage)).failures == 0
    assert [(event.type, event.message) for event in await told(storage)][1:] == [
        ("CIRCUIT_CLOSED", "ada: reset")
    ]
