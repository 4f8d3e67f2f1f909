"""Conversations on both databases: what was said, in order."""

from __future__ import annotations

from datetime import UTC, datetime

from kokino.conversations import store
from kokino.conversations.model import Role, Turn
from kokino.storage import Storage

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


async def say(storage: Storage, conversation_id: str, turn_id: str, content: str) -> None:
    """Somebody says something."""
    await storage.write(
        lambda conn: store.say(
            conn,
            conversation_id,
            turn_id=turn_id,
            execution_id="exec-1",
            role=Role.USER,
            content=content,
            now=NOW,
        )
    )


async def test_turns_are_numbered_from_one_in_each_conversation(storage: Storage) -> None:
    """Another conversation's turns do not count."""
    for name in ("c1", "c2"):
        await storage.write(lambda conn, name=name: store.begin(conn, name, "a", now=NOW))  # type: ignore[misc]
    for turn_id, conversation in (("t1", "c1"), ("t2", "c2"), ("t3", "c1")):
        await say(storage, conversation, turn_id, f"said {turn_id}")
    turns = await storage.read(lambda conn: store.turns_of(conn, "c1"))
    assert [(turn.number, turn.turn_id) for turn in turns] == [(1, "t1"), (2, "t3")]
    assert turns[0] == Turn(
        turn_id="t1",
        conversation_id="c1",
        number=1,
        execution_id="exec-1",
        role=Role.USER,
        content="said t1",
        said_at=NOW,
    )


async def test_turns_are_read_in_pages(storage: Storage) -> None:
    """Each page begins behind a number."""
    await storage.write(lambda conn: store.begin(conn, "c", "a", now=NOW))
    for number in range(5):
        await say(storage, "c", f"t{number}", "x")
    page = await storage.read(lambda conn: store.turns_of(conn, "c", after=2, limit=2))
    assert [turn.number for turn in page] == [3, 4]
    assert await storage.read(lambda conn: store.turns_of(conn, "c", after=5)) == []
