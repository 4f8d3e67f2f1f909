"""Look through the whole database, a portion at a time: nothing is held up, nothing is changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import structlog
from sqlalchemy import Connection

from kokino.agents import lock_store, session_store
from kokino.conversations import fault_store as conversation_faults
from kokino.conversations import orphan_store
from kokino.errors import StorageError
from kokino.executions import fault_store as execution_faults
from kokino.executions import summary_store
from kokino.integrity import execution_findings, findings
from kokino.integrity.files import look_at_files
from kokino.integrity.model import MOST_IDS, Finding, Kind
from kokino.integrity.seen import Seen
from kokino.integrity.turn_checks import look_for_orphans, look_through_conversations
from kokino.storage import Reading, constraints
from kokino.storage.values import Misfits, misfits

log = structlog.get_logger(__name__)

Step = Callable[[Reading, Seen], Awaitable[None]]


async def look(storage: Reading) -> Seen:
    """Make every check. What cannot be read for damage is noted, and the others are made all the same."""
    seen = Seen()
    await look_at_files(storage, seen)
    await look_at_rows(storage, seen)
    return seen


async def look_at_rows(storage: Reading, seen: Seen) -> None:
    """Make the checks that come after that of the file."""
    for name, step in _STEPS.items():
        try:
            await step(storage, seen)
        except StorageError as error:
            if Kind.FILE_DAMAGE not in seen.counts:
                raise
            seen.not_checked.append(f"{name}: {error.message}")
        except (ValueError, TypeError, OverflowError) as error:
            # What is read of a damaged file may be anything, and there is nothing to look for in it.
            if Kind.FILE_DAMAGE not in seen.counts and not await _has_misfits(storage, seen):
                raise  # no value's fault, but ours
            log.info("a check met a value that it cannot read", check=name, reason=str(error))
            seen.not_checked.append(f"{name}, to the end: a value there cannot be read")


async def _has_misfits(storage: Reading, seen: Seen) -> bool:
    """Note values that nobody can read. Only looked for when one was stumbled over: it takes its time."""
    if Kind.UNREADABLE_VALUE not in seen.counts:
        for found in await storage.read(_misfits):
            seen.note(findings.unreadable(found))
    return Kind.UNREADABLE_VALUE in seen.counts


def _misfits(conn: Connection) -> list[Misfits]:
    roles = conversation_faults.of_no_role(conn, limit=MOST_IDS)
    return [*misfits(conn, limit=MOST_IDS), *([] if roles is None else [roles])]


async def _executions(storage: Reading, seen: Seen) -> None:
    def read(conn: Connection) -> list[Finding]:
        running = summary_store.running(conn)
        sessions = session_store.everyone(conn)
        wanted = {session.conversation_id for session in sessions}
        # A conversation that is inserted again is none that a session has lost.
        known = conversation_faults.known(conn, wanted) | orphan_store.told_of(
            conn, execution_faults.tellers(), wanted
        )
        ids, count = execution_faults.ended_at_no_time(conn, limit=MOST_IDS)
        return [
            *execution_findings.dangling(sessions, known, {one.agent_id for one in running}),
            *execution_findings.unheld(running, lock_store.held(conn)),
            *execution_findings.timeless(ids, count),
        ]

    for finding in await storage.read(read):
        seen.note(finding)


async def _foreign_keys(storage: Reading, seen: Seen) -> None:
    for key in constraints.declared():
        if key.table == "turns":
            continue  # looked at as orphans
        found = await storage.read(partial(constraints.broken, key=key, limit=MOST_IDS))
        if found is not None:
            seen.note(findings.broken(found))


_STEPS: Mapping[str, Step] = {
    "orphaned turns": look_for_orphans,
    "conversations": look_through_conversations,
    "executions and sessions": _executions,
    "foreign keys": _foreign_keys,
}
