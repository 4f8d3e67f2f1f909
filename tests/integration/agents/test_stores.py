"""Agents, sessions, locks, disabled CLI types and pauses, on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from kokino.agents import circuit_store, lock_store, roster, session_store, store, traffic_store
from kokino.agents.askers import asking
from kokino.agents.breaker import Circuit, CircuitState
from kokino.agents.breaker_fallback import BreakerFallbacks
from kokino.agents.model import Agent, CliType, Fallback, Limits, Pause, Scope, Session, Source
from kokino.agents.service import Agents
from kokino.barrier import Faults
from kokino.errors import Conflict, Invalid, NotFound
from kokino.executions.probes import Probes
from kokino.storage import Storage
from kokino.telemetry import store as telemetry
from kokino.testing.clock import ManualClock

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
CLI_TYPES = {name: CliType(name=name, driver="scripted", command=("x",)) for name in ("claude", "codex")}


def agent(agent_id: str, **more: Any) -> Agent:
    """An agent with a value in every field."""
    fields: dict[str, Any] = {
        "cli_type": "claude",
        "cwd": Path("/work"),
        "model": "opus",
        "env": {"A": "1"},
        "flags": ("--x",),
        "limits": Limits(queue=3),
        "fallback": "codex",
        "account": "team",
        "pool": "gpu",
        "source": Source.API,
        "registered_at": NOW,
    }
    return Agent(agent_id=agent_id, **{**fields, **more})


async def test_an_agent_comes_back_as_it_was_put(storage: Storage) -> None:
    """Every field of it."""
    await storage.write(lambda conn: store.put(conn, agent("a")))
    assert await storage.read(lambda conn: store.get(conn, "a")) == agent("a")
    assert await storage.read(lambda conn: store.get(conn, "b")) is None


async def test_putting_again_changes_it_but_not_when_it_was_registered(storage: Storage) -> None:
    """A restart with another file is no new registration."""
    later = agent("a", model=None, registered_at=NOW + timedelta(days=1))
    await storage.write(lambda conn: store.put(conn, agent("a")))
    await storage.write(lambda conn: store.put(conn, later))
    assert await storage.read(lambda conn: store.get(conn, "a")) == replace(later, registered_at=NOW)


async def test_the_file_rules_its_own_agents_and_leaves_the_apis_alone(storage: Storage) -> None:
    """What it no longer names goes, with who asks for it; what was registered stays; no list has ours."""
    first = [agent("a", source=Source.CONFIG), agent("b", source=Source.CONFIG)]
    for one in (
        agent("api"),
        *(agent(name, source=Source.BROKER) for name in ("probe.claude", "probe.agent.a")),
    ):
        await storage.write(lambda conn, one=one: store.put(conn, one))  # type: ignore[misc]
    await storage.write(lambda conn: roster.take_configured(conn, first, now=NOW))
    await storage.write(lambda conn: roster.take_configured(conn, first[1:], now=NOW))
    assert [one.agent_id for one in await storage.read(store.everyone)] == ["api", "b"]
    assert await storage.read(lambda conn: store.get(conn, "probe.claude")) is not None
    assert await storage.read(lambda conn: store.get(conn, "probe.agent.a")) is None


async def test_agents_are_listed_in_pages_by_id(storage: Storage) -> None:
    """Each page begins behind the last id of the one before."""
    for name in "cab":
        await storage.write(lambda conn, name=name: store.put(conn, agent(name)))  # type: ignore[misc]
    first = await storage.read(lambda conn: store.page(conn, after="", limit=2))
    second = await storage.read(lambda conn: store.page(conn, after="b", limit=2))
    assert [one.agent_id for one in (*first, *second)] == ["a", "b", "c"]


def session(agent_id: str, cli_type: str = "claude", used_at: datetime = NOW) -> Session:
    """A session that no CLI has confirmed yet."""
    return Session(
        agent_id=agent_id,
        cli_type=cli_type,
        session_id=f"{agent_id}-{cli_type}",
        conversation_id="conv-1",
        is_established=False,
        created_at=NOW,
        used_at=used_at,
    )


async def test_a_session_is_resumed_under_the_cli_s_own_name_once_it_is_established(storage: Storage) -> None:
    """The id that the CLI tells goes before the one that we proposed."""
    later = NOW + timedelta(minutes=1)
    await storage.write(lambda conn: session_store.begin(conn, session("a")))
    assert await storage.read(lambda conn: session_store.get(conn, "a", "claude")) == session("a")
    await storage.write(lambda conn: session_store.establish(conn, "a", "claude", session_id="s", now=later))
    assert await storage.read(lambda conn: session_store.get(conn, "a", "claude")) == replace(
        session("a"), session_id="s", is_established=True, used_at=later
    )


async def test_forgetting_one_cli_types_session_leaves_the_other(storage: Storage) -> None:
    """And forgetting all leaves none; how many there were is told."""

    async def forget(cli_type: str | None) -> int:
        return await storage.write(lambda conn: session_store.forget(conn, "a", cli_type))

    for one in (session("a"), session("a", "codex"), session("b")):
        await storage.write(lambda conn, one=one: session_store.begin(conn, one))  # type: ignore[misc]
    assert await forget("codex") == 1
    assert await forget(None) == 1
    assert await forget(None) == 0
    assert await storage.read(session_store.everyone) == [session("b")]


async def test_a_held_lock_is_nobody_elses(storage: Storage) -> None:
    """One execution of an agent runs at a time; another agent's lock is another lock."""
    assert await storage.write(lambda conn: lock_store.acquire(conn, "a", "exec-1", now=NOW)) == 1
    assert await storage.write(lambda conn: lock_store.acquire(conn, "a", "exec-2", now=NOW)) is None
    assert await storage.write(lambda conn: lock_store.acquire(conn, "b", "exec-3", now=NOW)) == 1
    assert set(await storage.read(lock_store.held)) == {"a", "b"}


async def test_many_who_want_a_lock_at_once_get_it_once(storage: Storage) -> None:
    """Whatever order the database takes them in."""
    tries = [
        storage.write(lambda conn, n=number: lock_store.acquire(conn, "a", f"exec-{n}", now=NOW))  # type: ignore[misc]
        for number in range(6)
    ]
    assert sorted(await asyncio.gather(*tries), key=str) == [1, *[None] * 5]


async def test_a_holder_that_comes_back_late_cannot_release_its_successor(storage: Storage) -> None:
    """What the fencing token is for; releasing twice is no second release."""

    async def release(token: int) -> bool:
        return await storage.write(lambda conn: lock_store.release(conn, "a", token))

    await storage.write(lambda conn: lock_store.acquire(conn, "a", "exec-1", now=NOW))
    assert await release(1) is True
    assert await release(1) is False
    assert await storage.write(lambda conn: lock_store.acquire(conn, "a", "exec-2", now=NOW)) == 2
    assert await release(1) is False
    lock = await storage.read(lambda conn: lock_store.get(conn, "a"))
    assert lock is not None
    assert (lock.token, lock.execution_id, lock.locked_at) == (2, "exec-2", NOW)


async def test_a_holder_is_overdue_once_and_its_successor_anew(storage: Storage) -> None:
    """By its token: who holds the lock no more is not told of at the cost of who does."""

    async def overdue(token: int) -> bool:
        return await storage.write(lambda conn: lock_store.note_overdue(conn, "a", token, now=NOW))

    await storage.write(lambda conn: lock_store.acquire(conn, "a", "exec-1", now=NOW))
    assert [await overdue(1), await overdue(1)] == [True, False]
    lock = await storage.read(lambda conn: lock_store.get(conn, "a"))
    assert lock is not None
    assert lock.overdue_at == NOW
    await storage.write(lambda conn: lock_store.release(conn, "a", 1))
    assert await overdue(1) is False
    await storage.write(lambda conn: lock_store.acquire(conn, "a", "exec-2", now=NOW))
    assert [await overdue(1), await overdue(2)] == [False, True]


def fallback(cli_type: str = "claude", **more: Any) -> Fallback:
    """A disabled CLI type with a value in every field."""
    fields: dict[str, Any] = {
        "reason": "logins fail",
        "since": NOW,
        "target": "codex",
        "set_by": "ada",
        "probe_due_at": NOW + timedelta(minutes=1),
        "probes_good": 2,
        "probe_execution_id": "exec-1",
        "probe_last_at": NOW,
        "probe_last_outcome": "completed",
    }
    return Fallback(cli_type=cli_type, **{**fields, **more})


async def test_a_disabled_cli_type_is_known_with_its_probes_until_it_is_enabled(storage: Storage) -> None:
    """Saying it again changes what was said; enabling twice is enabling once."""
    await storage.write(lambda conn: traffic_store.disable(conn, fallback()))
    await storage.write(lambda conn: traffic_store.disable(conn, fallback(probes_good=3)))
    assert await storage.read(traffic_store.disabled) == {"claude": fallback(probes_good=3)}
    assert await storage.write(lambda conn: traffic_store.enable(conn, "claude")) is True
    assert await storage.write(lambda conn: traffic_store.enable(conn, "claude")) is False
    assert await storage.read(traffic_store.disabled) == {}


async def test_a_pause_holds_until_it_is_lifted(storage: Storage) -> None:
    """Each scope and id for itself."""
    first = Pause(scope=Scope.ACCOUNT, scope_id="a", reason="x", since=NOW, set_by="ada")
    again = replace(first, reason="y")
    whole = Pause(scope=Scope.ALL, scope_id="", reason="z", since=NOW + timedelta(seconds=1), set_by="ada")
    for one in (whole, first, again):
        await storage.write(lambda conn, one=one: traffic_store.pause(conn, one))  # type: ignore[misc]
    assert await storage.read(traffic_store.paused) == [again, whole]
    assert await storage.write(lambda conn: traffic_store.resume(conn, Scope.ACCOUNT, "a")) is True
    assert await storage.write(lambda conn: traffic_store.resume(conn, Scope.AGENT, "a")) is False
    assert await storage.read(traffic_store.paused) == [whole]


@pytest.fixture
def rung() -> list[str]:
    """One entry for each time that somebody was woken."""
    return []


@pytest.fixture
def service(storage: Storage, rung: list[str]) -> Agents:
    """The service under test."""
    return Agents(
        storage=storage, clock=ManualClock(NOW), cli_types=CLI_TYPES, on_change=lambda: rung.append("woken")
    )


def anything(_what: str) -> None:
    """Vouch for whatever is asked."""


async def events(storage: Storage) -> list[tuple[str, str | None]]:
    """What telemetry was told, the oldest first."""
    found = await storage.read(lambda conn: telemetry.recent(conn, limit=50))
    return [(event.type, event.message) for event in reversed(found)]


async def test_disabling_and_enabling_leave_events_and_wake_the_queues(
    service: Agents, storage: Storage, rung: list[str]
) -> None:
    """Who, why and where to are on record; the first probe is due in a minute."""
    made = await service.disable("claude", reason="logins fail", target="codex", by="ada", vouch=anything)
    assert made.probe_due_at == NOW + timedelta(minutes=1)
    assert await service.enable("claude", reason="fixed", by="ada") is True
    assert await service.enable("claude", reason="fixed", by="ada") is False
    assert await events(storage) == [
        ("FALLBACK_ENABLED", "ada: logins fail"),
        ("FALLBACK_DISABLED", "ada: fixed"),
    ]
    assert len(rung) >= 2


async def test_no_cli_type_is_disabled_towards_nowhere(service: Agents, storage: Storage) -> None:
    """An unknown one, itself, or one that is disabled is no target; nothing changes."""
    with pytest.raises(NotFound, match="there is no CLI type 'gemini'; known: claude, codex"):
        await service.disable("gemini", reason="x", target=None, by="ada", vouch=anything)
    with pytest.raises(NotFound, match="there is no CLI type 'gemini'"):
        await service.disable("claude", reason="x", target="gemini", by="ada", vouch=anything)
    with pytest.raises(Invalid):
        await service.disable("claude", reason="x", target="claude", by="ada", vouch=anything)
    await service.disable("codex", reason="x", target=None, by="ada", vouch=anything)
    with pytest.raises(Conflict, match="'codex' is disabled itself"):
        await service.disable("claude", reason="x", target="codex", by="ada", vouch=anything)
    await service.register(agent("a", fallback="codex"), vouch=anything)
    with pytest.raises(Conflict, match="'claude' is the only CLI type in use that is enabled"):
        await service.disable("claude", reason="x", target=None, by="ada", vouch=anything)
    assert set(await storage.read(traffic_store.disabled)) == {"codex"}


async def test_what_is_configured_no_more_can_be_enabled_and_goes_nowhere(
    service: Agents, storage: Storage
) -> None:
    """Its row would else stay for good; an agent of it is refused with the reason."""
    gone = Fallback(cli_type="gone", reason="x", since=NOW, target=None, set_by="ada")
    await storage.write(lambda conn: traffic_store.disable(conn, gone))
    await storage.write(lambda conn: store.put(conn, agent("a", cli_type="gone", fallback=None)))
    for target in (None, "codex"):
        with pytest.raises(Conflict, match="there is no CLI type 'gone' any more; configure it again"):
            await service.force("a", reason="x", target=target, by="ada", vouch=anything)
    assert await service.enable("gone", reason="it is away", by="ada") is True
    with pytest.raises(NotFound, match="there is no CLI type 'gone'"):
        await service.enable("gone", reason="it is away", by="ada")


async def test_what_is_configured_no_more_is_not_probed(storage: Storage, tmp_path: Path) -> None:
    """One such row kept all other probes from being started; whoever asks for one is told why not."""

    def disable(conn: Connection) -> None:
        gone = Fallback(cli_type="gone", reason="x", since=NOW, target=None, set_by="ada", probe_due_at=NOW)
        traffic_store.disable(conn, gone)
        store.put(conn, agent("a", cli_type="gone"))
        traffic_store.force(conn, replace(gone, agent_id="a"))
        later = NOW + timedelta(minutes=1)
        traffic_store.disable(conn, replace(gone, cli_type="codex", probe_due_at=later))

    await storage.write(disable)
    # Nothing is started here: executions are not asked for.
    nobody: Any = None
    probes = Probes(storage, ManualClock(NOW), nobody, CLI_TYPES, folder=tmp_path)
    assert await probes.run(NOW) == NOW + timedelta(minutes=1)
    with pytest.raises(Invalid, match="agent 'a' cannot be asked: there is no CLI type 'gone' any more"):
        await probes.probe_agent("a")


async def test_a_probe_that_cannot_be_started_keeps_no_other_from_its_turn(
    storage: Storage, tmp_path: Path
) -> None:
    """Each fails for itself here, as nobody takes executions; the second was not even tried."""

    def disable(conn: Connection) -> None:
        for name in CLI_TYPES:
            off = Fallback(cli_type=name, reason="x", since=NOW, target=None, set_by="a", probe_due_at=NOW)
            traffic_store.disable(conn, off)

    await storage.write(disable)
    nobody: Any = None
    with pytest.raises(Faults, match=r"CLI type .claude.: .*CLI type .codex.: "):
        await Probes(storage, ManualClock(NOW), nobody, CLI_TYPES, folder=tmp_path).run(NOW)


def test_agents_with_long_names_are_asked_for_by_different_ones() -> None:
    """Cut short they were the same, and one's probe took the other's session."""
    long = "agent." + "x" * 127
    assert asking("agent.writer") == "probe.agent.writer"
    assert len({asking(f"{long}a"), asking(f"{long}b")}) == 2
    assert len(asking(f"{long}a")) == 128


@pytest.mark.parametrize("source", [Source.API, Source.CONFIG])
async def test_an_agent_that_changes_its_cli_type_is_sent_round_the_old_one_no_more(
    service: Agents, storage: Storage, source: Source
) -> None:
    """What was said of the old one says nothing of the new one; registered as it is, it stays sent."""
    is_file = source is Source.CONFIG

    async def put(wanted: Agent) -> set[str]:
        if is_file:
            await storage.write(lambda conn: roster.take_configured(conn, [wanted], now=NOW))
        else:
            await service.register(wanted, vouch=anything)
        return set(await storage.read(traffic_store.forced))

    first = agent("a", source=source)
    await put(first)
    await service.force("a", reason="it hangs", target=None, by="ada", vouch=anything)
    assert await put(replace(first, model="other")) == {"a"}
    assert await put(replace(first, cli_type="codex", fallback=None)) == set()
    assert (await events(storage))[-1] == ("FALLBACK_DISABLED", "kokino: it runs on codex now")


async def test_a_circuit_breaker_sends_nobody_elsewhere_who_goes_round_its_cli_type(
    service: Agents, storage: Storage
) -> None:
    """An execution that began before may open it after: the agent goes where somebody has said."""
    opened = Circuit(agent_id="a", cli_type="claude", state=CircuitState.OPEN, failures=5, opened_at=NOW)
    await service.register(agent("a", fallback=None, breaker_fallback=True), vouch=anything)
    await service.disable("claude", reason="it hangs", target="codex", by="ada", vouch=anything)
    await storage.write(lambda conn: circuit_store.put(conn, opened))
    module = BreakerFallbacks(storage, CLI_TYPES, first_probe=timedelta(minutes=1), on_change=lambda: None)
    await module.run(NOW)
    assert await storage.read(traffic_store.forced) == {}
    await storage.write(lambda conn: traffic_store.enable(conn, "claude"))
    await module.run(NOW)
    assert set(await storage.read(traffic_store.forced)) == {"a"}


async def test_what_somebody_else_did_since_is_theirs_to_undo(service: Agents) -> None:
    """A playbook that takes back what it switched over leaves what a person has made of it."""
    await service.disable("claude", reason="logins fail", target="codex", by="playbook p", vouch=anything)
    await service.disable("claude", reason="maintenance", target="codex", by="ada", vouch=anything)
    assert await service.enable("claude", reason="probes", by="playbook p", set_by="playbook p") is False
    assert await service.enable("claude", reason="over", by="bob", set_by="ada") is True
    await service.pause(Scope.ALL, "", reason="quota", by="playbook p")
    assert await service.resume(Scope.ALL, "", reason="probes", by="kokino", set_by="ada") is False
    assert await service.resume(Scope.ALL, "", reason="probes", by="kokino", set_by="playbook p") is True


async def test_a_pause_leaves_events_of_its_scope(service: Agents, storage: Storage) -> None:
    """And lifting what is not paused leaves none."""
    await storage.write(lambda conn: store.put(conn, agent("a")))
    await service.pause(Scope.ACCOUNT, "team", reason="quota", by="kokino")
    assert await service.resume(Scope.ACCOUNT, "team", reason="reset", by="ada") is True
    assert await service.resume(Scope.ACCOUNT, "team", reason="reset", by="ada") is False
    with pytest.raises(NotFound, match="no agent has the account 'tame'; there are: claude:~, codex:~, team"):
        await service.pause(Scope.ACCOUNT, "tame", reason="quota", by="kokino")
    assert await events(storage) == [("ACCOUNT_PAUSED", "kokino: quota"), ("ACCOUNT_RESUMED", "ada: reset")]


async def test_an_unknown_agent_is_told_with_the_way_to_add_one(service: Agents) -> None:
    """A 404 that helps."""
    with pytest.raises(NotFound, match="there is no agent 'nobody'; GET /agents lists them"):
        await service.get("nobody")
    await service.register(agent("a"), vouch=anything)
    assert await service.get("a") == agent("a")
