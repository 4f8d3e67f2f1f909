"""What a person decides about foreign turns, which no cleanup touches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import Connection

from kokino.conversations import fault_store, foreign_store
from kokino.conversations.foreign_store import Foreign
from kokino.errors import Conflict
from kokino.executions.fault_store import tellers
from kokino.integrity import acceptance_store, events, plan
from kokino.integrity.acceptance_store import Acceptance
from kokino.integrity.model import Report, Trigger
from kokino.integrity.repair import ROWS
from kokino.integrity.service import Integrity
from kokino.storage import Reading, Storage
from kokino.telemetry import store as telemetry
from kokino.telemetry.model import Event

log = structlog.get_logger(__name__)

#: Turns that a refusal names.
NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which turns are meant."""

    #: These; or none by name, and then all that are foreign and not accepted.
    turn_ids: Sequence[str] = ()
    #: How many the person has seen that are not accepted: nothing is done where it is another number now.
    everything: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A foreign turn, and whether it is accepted."""

    turn: Foreign
    acceptance: Acceptance | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What came of a decision."""

    #: Turns that were accepted, without those that were already, or deleted.
    turns: int
    #: Where the backup is that holds what was deleted; None where nothing was.
    backup: str | None
    #: What was found afterwards.
    after: Report


async def foreign_turns(storage: Reading, *, after: str | None, limit: int) -> list[Looked]:
    """The foreign turns behind the id `after`, by id, accepted ones too."""

    def read(conn: Connection) -> list[Looked]:
        found = foreign_store.foreign(conn, tellers(), after=after, limit=limit)
        accepted = acceptance_store.accepted(conn, [turn.turn_id for turn in found])
        return [Looked(turn=turn, acceptance=accepted.get(turn.turn_id)) for turn in found]

    return await storage.read(read)


async def accept(integrity: Integrity, choice: Choice, *, reason: str, by: str) -> Decided:
    """Take foreign turns as they are: no check counts them any more. One that is accepted already stays so.

    Raises `Conflict` where one of them is no foreign turn, or there are more or fewer than were seen.
    """
    acceptance = Acceptance(at=integrity.clock.now(), by=by, reason=reason)
    async with integrity.turn:
        chosen = await integrity.storage.read(partial(_chosen, choice=choice))
        done = await _in_batches(
            integrity.storage, chosen, partial(acceptance_store.accept, acceptance=acceptance)
        )
        return await _told(integrity, events.of_acceptance(done, acceptance), done, by=by, backup=None)


async def remove(
    integrity: Integrity, choice: Choice, *, reason: str, reference: str | None, by: str
) -> Decided:
    """Delete foreign turns, accepted ones too, after a backup; `reference` names one of a server's database.

    Raises `Conflict` as `accept` does, where such a backup is missing, and where the file is damaged: then
    nothing is changed.
    """
    async with integrity.turn:
        chosen = await integrity.storage.read(partial(_chosen, choice=choice))
        plan.may_clean(await integrity.checked(trigger=Trigger.DECISION, by=by))
        backup = await integrity.secured(reference)
        done = await _in_batches(integrity.storage, chosen, _delete)
        event = events.of_removal(done, reason=reason, backup=backup, by=by, at=integrity.clock.now())
        return await _told(integrity, event, done, by=by, backup=backup)


async def _in_batches(
    storage: Storage, chosen: Sequence[str], do: Callable[[Connection, Sequence[str]], Sequence[str]]
) -> list[str]:
    """Do it to those that are foreign in the transaction in which it is done; to which it was done."""

    def write(conn: Connection, some: Sequence[str]) -> Sequence[str]:
        return do(conn, foreign_store.foreign_ids(conn, tellers(), of=some))

    batches = (chosen[start : start + ROWS] for start in range(0, len(chosen), ROWS))
    return [one for some in batches for one in await storage.write(partial(write, some=some))]


def _delete(conn: Connection, turn_ids: Sequence[str]) -> Sequence[str]:
    fault_store.delete_turns(conn, turn_ids)
    return turn_ids


async def _told(
    integrity: Integrity, event: Event, done: Sequence[str], *, by: str, backup: str | None
) -> Decided:
    if done:
        await integrity.storage.write(lambda conn: telemetry.append(conn, event))
        log.warning("a person decided about foreign turns", decision=event.message, backup=backup)
    after = await integrity.checked(trigger=Trigger.DECISION, by=by)
    return Decided(turns=len(done), backup=backup, after=after)


def _chosen(conn: Connection, choice: Choice) -> list[str]:
    """The ids of the turns that are meant."""
    if choice.turn_ids:
        return _named(conn, choice.turn_ids)
    found = foreign_store.foreign_ids(conn, tellers())
    accepted = acceptance_store.accepted(conn, found)
    left = [turn_id for turn_id in found if turn_id not in accepted]
    if len(left) != choice.everything:
        raise Conflict(
            f"nothing was changed: there are {len(left):,} foreign turns that nobody accepted, and not"
            f" {choice.everything or 0:,}. Look at them again: kokino integrity foreign"
        )
    return left


def _named(conn: Connection, turn_ids: Sequence[str]) -> list[str]:
    wanted = list(dict.fromkeys(turn_ids))
    found = set(foreign_store.foreign_ids(conn, tellers(), of=wanted))
    if strange := [turn_id for turn_id in wanted if turn_id not in found]:
        more = f" and {len(strange) - NAMED} more" if len(strange) > NAMED else ""
        raise Conflict(
            f"nothing was changed: not a foreign turn: {', '.join(strange[:NAMED])}{more}."
            " `kokino integrity foreign` lists those that are"
        )
    return wanted
