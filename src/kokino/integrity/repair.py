"""Put right what can be put right in one way only. Each function is one short transaction's worth of work.

None trusts what a check has read before: each looks again, in the transaction in which it writes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from kokino.agents import session_store
from kokino.conversations import fault_store as conversation_faults
from kokino.conversations import orphan_store
from kokino.executions import fault_store as execution_faults
from kokino.executions import summary_store
from kokino.integrity import order
from kokino.integrity.model import Kind, Repairs
from kokino.integrity.turn_checks import faulty_portion
from kokino.storage import Storage, constraints

#: Rows that one transaction deletes: a few milliseconds of the writer's time.
ROWS = 500
#: Rows that one search finds: a few megabytes of keys.
FOUND = 50_000

Found = TypeVar("Found")
Sought_co = TypeVar("Sought_co", covariant=True)


async def repair(storage: Storage) -> Repairs:
    """Put right all that may be, and tell how much it was."""
    deleted: dict[Kind, int] = defaultdict(int)
    # First of all: their turns are orphans until then.
    tellers = execution_faults.tellers()
    restored = await _until_none(
        storage, partial(orphan_store.lost, tellers=tellers), orphan_store.insert_again
    )
    deleted[Kind.ORPHANED_TURN] = await _until_none(
        storage, partial(orphan_store.orphan_ids, tellers=tellers), orphan_store.delete_orphans
    )
    for key in constraints.declared():
        if key.goes_with_parent and key.table != "turns":
            deleted[Kind.FOREIGN_KEY] += await _until_none(
                storage,
                partial(constraints.broken_rows, key=key),
                partial(constraints.delete_broken, key=key),
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
    gone = _delete_doubled(conn, conversation_id)
    return gone, _number_anew(conn, conversation_id)


def _delete_doubled(conn: Connection, conversation_id: str) -> int:
    gone = 0
    for same in order.duplicates(conversation_faults.said_in(conn, [conversation_id])):
        surplus = [turn.turn_id for turn in same[1:]]
        if conversation_faults.has_same_words(conn, [turn.turn_id for turn in same]):
            conversation_faults.delete_turns(conn, surplus)
            gone += len(surplus)
    return gone


def _number_anew(conn: Connection, conversation_id: str) -> int:
    """Foreign turns keep their numbers; the others share those that are left."""
    agent_id = conversation_faults.agent_of(conn, conversation_id)
    if agent_id is None:
        return 0  # it went since it was found, and its turns with it
    turns = conversation_faults.said_in(conn, [conversation_id])
    origins = execution_faults.origins(conn, {turn.execution_id for turn in turns if turn.execution_id})
    own = order.own_among(turns, agent_id, origins)
    ordered = order.right_order(own, origins) if order.is_out_of_order(own, origins) else None
    numbers = order.new_numbers(ordered or ())
    conversation_faults.renumber(conn, numbers)
    return len(numbers)


class _Find(Protocol[Sought_co]):
    """Finds rows, at most `limit`."""

    def __call__(self, conn: Connection, *, limit: int) -> Sequence[Sought_co]: ...


async def _until_none(
    storage: Storage, find: _Find[Found], put_right: Callable[[Connection, Sequence[Found]], int]
) -> int:
    """Read what there is to do, which may take seconds, and write it a batch at a time; how many rows.

    Ends when nothing is found, or when nothing of what was found has to be done any more.
    """

    async def put(some: Sequence[Found]) -> int:
        return await storage.write(lambda conn: put_right(conn, some))

    done = 0
    while found := await storage.read(partial(find, limit=FOUND)):
        batches = [found[start : start + ROWS] for start in range(0, len(found), ROWS)]
        put_now = sum([await put(some) for some in batches])
        if not put_now:
            break
        done += put_now
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
