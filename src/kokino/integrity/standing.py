"""How a database stands and stood, without looking anew."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from kokino.conversations import fault_store
from kokino.errors import StorageError
from kokino.integrity import acceptance_store, store
from kokino.integrity.backups import Backup, Backups
from kokino.integrity.model import Report
from kokino.storage import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What there is now."""

    conversations: int
    turns: int
    #: Foreign turns that somebody accepted.
    accepted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known of a database."""

    #: None where it cannot be read.
    totals: Totals | None
    #: The last checks, the newest first; none where they cannot be read.
    history: Sequence[Report]
    #: The newest first. They are beside the database, and there though that is damaged.
    backups: Sequence[Backup]
    #: Why something could not be read; None where all could.
    unread: str | None


async def standing(storage: Reading, backups: Backups, *, limit: int) -> Standing:
    """How it stands, with its last `limit` checks. Never raises for what is damaged."""
    totals, history, unread = None, list[Report](), None
    try:
        history = await storage.read(partial(store.latest, limit=limit))
        totals = await storage.read(_totals)
    except StorageError as error:
        unread = error.message
    return Standing(
        totals=totals, history=history, backups=await asyncio.to_thread(backups.list), unread=unread
    )


async def unreadable(backups: Backups, why: str) -> Standing:
    """What is known where the database cannot be read at all: the backups, which are beside it."""
    return Standing(totals=None, history=(), backups=await asyncio.to_thread(backups.list), unread=why)


def _totals(conn: Connection) -> Totals:
    conversations, turns = fault_store.totals(conn)
    return Totals(conversations=conversations, turns=turns, accepted=acceptance_store.count(conn))
