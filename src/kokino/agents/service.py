"""What people and playbooks ask of agents and of the way their executions go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from kokino.agents import circuit_store, circuits, fallbacks, roster, store, traffic_store
from kokino.agents.model import Agent, CliType, Fallback, Pause, Scope, account_of
from kokino.agents.parking import pause_event
from kokino.agents.routing import PARK, TMUX, target_of
from kokino.agents.unasked import Vouch, is_let_loose, loosest
from kokino.clock import Clock, iso
from kokino.errors import Fault, Invalid, NotFound
from kokino.storage import Storage
from kokino.telemetry import store as telemetry
from kokino.telemetry.model import EventType

#: As `Agents.first_probe` where nothing else is configured.
FIRST_PROBE = timedelta(seconds=60)


@dataclass(slots=True, kw_only=True)
class Agents:
    """Register agents; disable and enable CLI types; pause and resume."""

    storage: Storage
    clock: Clock
    cli_types: Mapping[str, CliType]
    #: Called after anything that may let executions run, or stop them.
    on_change: Callable[[], None]
    #: How soon after it was disabled something is first asked whether it works again.
    first_probe: timedelta = FIRST_PROBE

    async def register(self, agent: Agent, *, vouch: Vouch) -> Agent:
        """Add an agent, or change the one with its id. It has been checked.

        One that would ask nobody, be it after a move, is registered only where `vouch` raises nothing.
        """

        def write(conn: Connection) -> None:
            if name := loosest(agent, self.cli_types, traffic_store.holding(conn, agent)):
                vouch(f"an agent that lets {name} do anything unasked")
            roster.put(conn, agent, now=self.clock.now())

        await self.storage.write(write)
        self.on_change()
        return agent

    async def get(self, agent_id: str) -> Agent:
        """The agent. Raises `NotFound`."""
        return await self.storage.read(lambda conn: required(conn, agent_id))

    async def disable(
        self, cli_type: str, *, reason: str, target: str | None, by: str, vouch: Vouch
    ) -> Fallback:
        """Disable a CLI type: its agents run on `target`, on their own fallback, or not at all.

        Raises `NotFound` for an unknown name, `Conflict` for a target that is disabled itself, and what
        `vouch` raises where agents that ask would be moved to a CLI that asks nobody.
        """
        self._check_name(cli_type)
        if target not in {None, TMUX, PARK}:
            self._check_name(str(target))
        if target == cli_type:
            raise Invalid(
                "a CLI type cannot stand in for itself", [Fault(field="target", message="name another")]
            )
        now = self.clock.now()
        fallback = Fallback(
            cli_type=cli_type,
            reason=reason,
            since=now,
            target=target,
            set_by=by,
            probe_due_at=now + self.first_probe,
        )
        await self.storage.write(lambda conn: fallbacks.disable(conn, fallback, self.cli_types, vouch))
        self.on_change()
        return fallback

    async def enable(self, cli_type: str, *, reason: str, by: str, set_by: str | None = None) -> bool:
        """Enable a CLI type again, for all its agents; False when it was not disabled, or not by `set_by`.

        Their circuit breakers on it are closed: probes, or somebody, have found that it works. One that the
        configuration names no more can be enabled, too. Raises `NotFound` for a name that is none.
        """
        if cli_type not in await self.storage.read(traffic_store.disabled):
            self._check_name(cli_type)
        now = self.clock.now()
        was_disabled = await self.storage.write(
            lambda conn: fallbacks.enable(conn, cli_type, reason=reason, by=by, set_by=set_by, now=now)
        )
        self.on_change()
        return was_disabled

    async def force(
        self, agent_id: str, *, reason: str, target: str | None, by: str, vouch: Vouch
    ) -> Fallback:
        """Send one agent elsewhere: to `target`, to its own fallback, or to tmux.

        Raises `NotFound` for an unknown name, `Conflict` for a way that it cannot go, and what `vouch` raises
        where an agent that asks would be moved to a CLI that asks nobody.
        """
        if target not in {None, TMUX, PARK}:
            self._check_name(str(target))
        now = self.clock.now()

        def write(conn: Connection) -> Fallback:
            agent = required(conn, agent_id)
            fallback = Fallback(
                cli_type=agent.cli_type,
                agent_id=agent_id,
                reason=reason,
                since=now,
                target=target,
                set_by=by,
                probe_due_at=now + self.first_probe,
            )
            moved_to = target_of(agent, fallback)
            if is_let_loose(agent, self.cli_types, moved_to):
                vouch(f"moving agent {agent_id!r}, which asks, to {moved_to}, which does anything unasked,")
            fallbacks.force(conn, agent, fallback, self.cli_types)
            return fallback

        fallback = await self.storage.write(write)
        self.on_change()
        return fallback

    async def clear(self, agent_id: str, *, reason: str, by: str) -> bool:
        """Let one agent run where it is meant to; False when it was not sent elsewhere. Raises `NotFound`."""
        now = self.clock.now()
        was_forced = await self.storage.write(
            lambda conn: fallbacks.clear(conn, required(conn, agent_id), reason=reason, by=by, now=now)
        )
        self.on_change()
        return was_forced

    async def reset_circuits(self, agent_id: str, *, by: str) -> int:
        """Close all of the agent's circuit breakers; how many were not closed. Raises `NotFound`."""
        now = self.clock.now()

        def write(conn: Connection) -> int:
            agent = required(conn, agent_id)
            found = circuit_store.of_agent(conn, agent_id)
            were_open = circuits.close(conn, found, f"{by}: reset", now=now)
            forced = traffic_store.forced(conn).get(agent_id)
            if forced is not None and forced.is_automatic:
                fallbacks.clear(conn, agent, reason="its circuit breaker was reset", by=by, now=now)
            return were_open

        were_open = await self.storage.write(write)
        self.on_change()
        return were_open

    async def pause(
        self, scope: Scope, scope_id: str, *, reason: str, by: str, until: datetime | None = None
    ) -> Pause:
        """Keep the executions of a scope in their queues, until somebody resumes it or to an instant.

        Raises `Invalid` for one that is not ahead, `NotFound` for an agent or account that nobody has.
        """
        now = self.clock.now()
        if until is not None and until <= now:
            message = f"must be ahead of the broker's time, {iso(now)}"
            raise Invalid(f"until: {message}", [Fault(field="until", message=message)])
        pause = Pause(scope=scope, scope_id=scope_id, reason=reason, since=now, set_by=by, ends_at=until)

        def write(conn: Connection) -> None:
            _require_somebody(conn, scope, scope_id, self.cli_types)
            traffic_store.pause(conn, pause)
            telemetry.append(conn, pause_event(EventType.ACCOUNT_PAUSED, pause, f"{by}: {reason}", now))

        await self.storage.write(write)
        self.on_change()
        return pause

    async def resume(
        self, scope: Scope, scope_id: str, *, reason: str, by: str, set_by: str | None = None
    ) -> bool:
        """Let them run again; False when nothing was paused, or not by `set_by`.

        Raises `NotFound` as `pause` does.
        """
        now = self.clock.now()

        def write(conn: Connection) -> bool:
            lifted = traffic_store.pause_of(conn, scope, scope_id)
            if lifted is None:
                _require_somebody(conn, scope, scope_id, self.cli_types)
                return False
            if set_by not in {None, lifted.set_by}:
                return False
            traffic_store.resume(conn, scope, scope_id)
            telemetry.append(conn, pause_event(EventType.ACCOUNT_RESUMED, lifted, f"{by}: {reason}", now))
            return True

        was_paused = await self.storage.write(write)
        self.on_change()
        return was_paused

    def _check_name(self, name: str) -> None:
        if name not in self.cli_types:
            known = ", ".join(sorted(self.cli_types))
            raise NotFound(f"there is no CLI type {name!r}; known: {known}")


def required(conn: Connection, agent_id: str) -> Agent:
    """The agent. Raises `NotFound`."""
    agent = store.get(conn, agent_id)
    if agent is None:
        raise NotFound(
            f"there is no agent {agent_id!r}; GET /agents lists them, POST /agents/register adds one"
        )
    return agent


def _require_somebody(
    conn: Connection, scope: Scope, scope_id: str, cli_types: Mapping[str, CliType]
) -> None:
    """Raise `NotFound` for an agent or an account that nobody has: a typo would pause nothing, unnoticed.

    A CLI type that agents are moved to has an account, too, be it that of none of them.
    """
    if scope is Scope.AGENT:
        required(conn, scope_id)
    if scope is Scope.ACCOUNT:
        accounts = {agent.account for agent in store.everyone(conn)}
        accounts |= {account_of(cli_type, {}) for cli_type in cli_types.values()}
        if scope_id not in accounts:
            known = ", ".join(sorted(accounts)) or "none"
            raise NotFound(f"no agent has the account {scope_id!r}; there are: {known}")
