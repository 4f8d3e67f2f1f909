"""What an integrity check asks of conversations, and how what it finds is put right.

Searches only read, a portion at a time: no writer waits for them. Answers never hold all of what was said,
which may be megabytes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, select, update

from kokino.conversations.model import Role
from kokino.storage.schema import conversations, turns
from kokino.storage.values import Misfits

#: Ids in one query: SQLite takes 32766, and less in an older one.
_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A turn without its words."""

    turn_id: str
    conversation_id: str
    number: int
    execution_id: str | None
    role: Role
    said_at: datetime


def totals(conn: Connection) -> tuple[int, int]:
    """How many conversations and turns there are."""
    counted = [select(func.count()).select_from(table) for table in (conversations, turns)]
    return conn.scalar(counted[0]) or 0, conn.scalar(counted[1]) or 0


def portion(conn: Connection, *, after: str, limit: int, turns_at_once: int) -> dict[str, str]:
    """The agents of at most `limit` conversations with ids behind `after`, by conversation, in order.

    It ends with the conversation that makes `turns_at_once` turns full: one conversation may have hundreds of
    thousands of them.
    """
    # The number of the last turn, which one look into the index tells, is near enough to how many there are.
    last = select(func.max(turns.c.number)).where(turns.c.conversation_id == conversations.c.conversation_id)
    query = (
        select(
            conversations.c.conversation_id, conversations.c.agent_id, last.scalar_subquery().label("last")
        )
        .where(conversations.c.conversation_id > after)
        .order_by(conversations.c.conversation_id)
        .limit(limit)
    )
    found: dict[str, str] = {}
    turns_found = 0
    for row in conn.execute(query).all():
        found[row.conversation_id] = row.agent_id
        turns_found += row.last or 0
        if turns_found >= turns_at_once:
            break
    return found


def said_in(conn: Connection, conversation_ids: Collection[str]) -> list[Said]:
    """The turns of these conversations, each conversation's in their order."""
    columns = [turns.c[name] for name in Said.__slots__]
    query = (
        select(*columns)
        .where(turns.c.conversation_id.in_(conversation_ids))
        .order_by(turns.c.conversation_id, turns.c.number)
    )
    return [Said(**{**row._mapping, "role": Role(row.role)}) for row in conn.execute(query)]  # noqa: SLF001 - public


def of_no_role(conn: Connection, *, limit: int) -> Misfits | None:
    """The turns of which nobody knows who said them; None where there are none."""
    strange = turns.c.role.not_in([role.value for role in Role])
    count = conn.scalar(select(func.count()).select_from(turns).where(strange)) or 0
    if not count:
        return None
    ids = conn.scalars(select(turns.c.turn_id).where(strange).order_by(turns.c.turn_id).limit(limit))
    return Misfits(table="turns", column="role", count=count, ids=list(ids))


def known(conn: Connection, conversation_ids: Collection[str]) -> set[str]:
    """Those of these ids that conversations have."""
    query = select(conversations.c.conversation_id)
    return set(conn.scalars(query.where(conversations.c.conversation_id.in_(conversation_ids))))


def agent_of(conn: Connection, conversation_id: str) -> str | None:
    """Whose conversation it is; None where it is not there."""
    query = select(conversations.c.agent_id)
    return conn.scalar(query.where(conversations.c.conversation_id == conversation_id))


def has_same_words(conn: Connection, turn_ids: Collection[str]) -> bool:
    """True where all of these turns say the same."""
    query = select(func.count(turns.c.content.distinct())).where(turns.c.turn_id.in_(turn_ids))
    return conn.scalar(query) == 1


def delete_turns(conn: Connection, turn_ids: Sequence[str]) -> None:
    """Delete these turns."""
    for start in range(0, len(turn_ids), _AT_ONCE):
        conn.execute(delete(turns).where(turns.c.turn_id.in_(turn_ids[start : start + _AT_ONCE])))


def renumber(conn: Connection, numbers: Mapping[str, int]) -> None:
    """Give turns of one conversation other numbers, by turn id; none at all is nothing to do."""
    if not numbers:
        return  # without values the statement would be sent once, for none
    # Out of the way first: no two turns of a conversation may have one number, not even between two updates.
    for sign in (-1, 1):
        conn.execute(
            update(turns).where(turns.c.turn_id == bindparam("turn")).values(number=bindparam("place")),
            [{"turn": turn_id, "place": sign * number} for turn_id, number in numbers.items()],
        )
