"""Two conversations of one agent, whole, and a service over them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Connection

from kokino.conversations import store as conversation_store
from kokino.conversations.model import Role
from kokino.executions import store as execution_store
from kokino.executions.model import State
from kokino.integrity.backups import Backups
from kokino.integrity.service import Integrity
from kokino.storage import Storage
from kokino.testing.clock import ManualClock
from kokino.testing.ids import SequentialIds
from tests.integration.executions.given import NOW, at, execution
from tests.integration.integrity.damage import write_past

Plant = Callable[..., None]


def converse(conn: Connection, conversation_id: str, executions: range) -> None:
    """A conversation in which each of these executions said two turns, a second apart."""
    conversation_store.begin(conn, conversation_id, "writer", now=NOW)
    for number in executions:
        name = f"exec-{number}"
        execution_store.accept(
            conn,
            execution(
                name,
                state=State.COMPLETED,
                conversation_id=conversation_id,
                started_at=at(number),
                ended_at=at(number + 0.5),
            ),
        )
        for role, second in ((Role.USER, 0.0), (Role.ASSISTANT, 0.5)):
            conversation_store.say(
                conn,
                conversation_id,
                turn_id=f"{role.value}-{number}",
                execution_id=name,
                role=role,
                content=f"{role.value} {number}",
                now=at(number + second),
            )


@pytest.fixture
async def whole(storage: Storage) -> Storage:
    """Conversations c1, of two executions, and c2, of one."""
    await storage.write(lambda conn: converse(conn, "c1", range(1, 3)))
    await storage.write(lambda conn: converse(conn, "c2", range(3, 4)))
    return storage


@pytest.fixture
def plant(new_storage_url: str) -> Plant:
    """Runs statements past the schema."""
    return lambda *statements: write_past(new_storage_url, *statements)


@pytest.fixture
def clock() -> ManualClock:
    """Long after the conversations."""
    return ManualClock(NOW + timedelta(hours=1))


@pytest.fixture
def integrity(whole: Storage, clock: ManualClock) -> Integrity:
    """The service over them."""
    return Integrity(
        storage=whole,
        clock=clock,
        ids=SequentialIds(),
        backups=Backups(database=whole.file, keep=2, keep_asked=timedelta(days=90)),
        on_change=lambda: None,
    )
