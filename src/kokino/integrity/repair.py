"""Put right what can be put right in one way only. Each function is one short transaction's worth of work.

None trusts what a check has read before: each looks again, in the transaction in which it writes.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import Protocol

from sqlalchemy import Connection

from kokino.agents import session_store
from kokino.conversations import fault_store as conversation_faults
from kokino.executions import fault_store as execution_faults
from kokino.executions import summary_store
from kokino.integrity import order
from kokino.integrity.checks import faulty_portion
from kokino.integrity.model import Kind, Repairs
from kokino.storage import Storage, constraints

#: Rows that one transaction deletes: a few milliseconds of the writer's time.
ROWS = 500


async def repair(storage: Storage) -> Repairs:
    """Put right all that may be, and tell how much it was."""
    deleted: dict[Kind, int] = defaultdict(int)
    # First of all: their turns are orphans until then.
    tellers = execution_faults.tellers()
    restored = await _until_none(storage, partial(conversation_faults.insert_lost, tellers=tellers))
    deleted[Kind.ORPHANED_TURN] = await _until_none(
        storage, partial(conversation_faults.delete_orphans, tellers=tellers)
    )
    for key in constraints.declared():
        if key.goes_with_parent and key.table != "turns":
            deleted[Kind.FOREIGN_KEY] += await _until_none(
                storage, partial(constraints.delete_broken, key=key)
            )
    deleted[Kind.DANGLING_SESSION] = await storage.write(forget_dangling)
    doubled, renumbered = await _conversations(storage)
    deleted[Kind.DUPLICATE_TURN] = doubled
    gone = {kind: count for kind, count in deleted.items() if count}
    return Repairs(deleted=gone, renumbered=renumbered, restored=restored)


def forget_dangling(conn: Connection) -> int:
    """Forget the sessions whose conversation is not there, and that no execution uses; how many."""
    sessions = session_store.everyone(conn)
    known = conversation_faults.known(conn, {session.conversation_id for session in sessions})
    in_use = {one.agent_id for one in summary_store.running(conn)}
    lost = [one for one in sessions if one.conversation_id not in known and one.agent_id not in in_use]
    return sum(session_store.forget(conn, session.agent_id, session.cli_type) for session in lost)


def mend_turns(conn: Connection, conversation_id: str) -> tuple[int, int]:
    """Delete what is doubled word for word, then number what is out of order; how many turns of each."""
    gone = 0
    for same in order.duplicates(conversation_faults.said_in(conn, [conversation_id])):
        surplus = [turn.turn_id for turn in same[1:]]
        if conversation_faults.has_same_words(conn, [turn.turn_id for turn in same]):
            conversation_faults.delete_turns(conn, surplus)
            gone += len(surplus)
    turns = conversation_faults.said_in(conn, [conversation_id])
    origins = execution_faults.origins(conn, {turn.execution_id for turn in turns if turn.execution_id})
    ordered = order.right_order(turns, origins) if order.is_out_of_order(turns, origins) else None
    if ordered is None:
        return gone, 0
    numbers = order.new_numbers(ordered)
    conversation_faults.renumber(conn, numbers)
    return gone, len(numbers)


class _Batch(Protocol):
    """Inserts or deletes a batch, and tells how many rows it were."""

    def __call__(self, conn: Connection, *, limit: int) -> int: ...


async def _until_none(storage: Storage, put_right: _Batch) -> int:
    done = 0
    while some := await storage.write(partial(put_right, limit=ROWS)):
        done += some
    return done


async def _conversations(storage: Storage) -> tuple[int, int]:
    doubled = renumbered = 0
    after: str | None = ""
    while after is not None:
        after, faulty = await storage.read(partial(faulty_portion, after=after))
        for conversation_id in faulty:
            gone, moved = await storage.write(partial(mend_turns, conversation_id=conversation_id))
            doubled += gone
            renumbered += moved
    return doubled, renumbered
