"""Agents and executions as rows, for tests of what happens to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from kokino.agents import store as agent_store
from kokino.agents.model import Agent, CliType, Limits
from kokino.executions import store
from kokino.executions.model import Execution, State
from kokino.executions.queue.claiming import Claimed, claim
from kokino.storage import Storage
from kokino.testing.ids import SequentialIds

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
CLI_TYPES = {name: CliType(name=name, driver="scripted", command=("x",)) for name in ("claude", "codex")}


def at(seconds: float) -> datetime:
    """An instant on the timeline."""
    return NOW + timedelta(seconds=seconds)


def agent(agent_id: str, **more: Any) -> Agent:
    """An agent on claude, with the default limits."""
    fields: dict[str, Any] = {
        "cli_type": "claude",
        "cwd": Path("/work"),
        "limits": Limits(),
        "account": "claude:~",
        "registered_at": NOW,
    }
    return Agent(agent_id=agent_id, **{**fields, **more})


def execution(execution_id: str, agent_id: str = "writer", **more: Any) -> Execution:
    """A queued execution."""
    fields: dict[str, Any] = {
        "number": 0,
        "cli_type": "claude",
        "account": "claude:~",
        "mode": "headless",
        "pool": "default",
        "state": State.QUEUED,
        "prompt": "Say hello.",
        "timeout": timedelta(minutes=5),
        "queue_timeout": timedelta(minutes=5),
        "queued_at": NOW,
    }
    return Execution(execution_id=execution_id, agent_id=agent_id, **{**fields, **more})


class Queue:
    """A queue in one database, without anything that looks at it by itself."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.ids = SequentialIds()

    async def agents(self, *agents: Agent) -> None:
        """Register these."""

        def write(conn: Connection) -> None:
            for one in agents:
                agent_store.put(conn, one)

        await self.storage.write(write)

    async def accept(self, *accepted: Execution) -> list[Execution]:
        """Put these at the end, in order."""
        return [await self.storage.write(lambda conn, one=one: store.accept(conn, one)) for one in accepted]  # type: ignore[misc]

    async def look(self, *, capacity: int = 32, now: datetime = NOW) -> Claimed:
        """One look at the queues."""
        return await self.storage.write(
            lambda conn: claim(conn, CLI_TYPES, self.ids, capacity=capacity, now=now)
        )

    async def get(self, execution_id: str) -> Execution:
        """The execution as it is now."""
        found = await self.storage.read(lambda conn: store.get(conn, execution_id))
        assert found is not None
        return found
