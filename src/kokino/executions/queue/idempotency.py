"""Requests that may be repeated: a caller's key and what it asked for, and how often that was accepted."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from kokino.errors import Fault, Invalid
from kokino.executions import store
from kokino.executions.model import Execution, State
from kokino.executions.queue import idempotency_store
from kokino.storage import Storage

#: The header that carries a key.
HEADER = "Idempotency-Key"
#: How long a key is remembered at least: long enough for a retry by a person on the next morning.
REMEMBERED = timedelta(hours=24)
#: How often keys are looked through.
INTERVAL = timedelta(hours=1)
#: Visible ASCII: what every client, proxy and log passes on unchanged.
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyKey:
    """What makes two requests to one agent the same request."""

    key: str
    #: sha256 of the body, in hexadecimal.
    body_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """An execution that a request has come to."""

    execution: Execution
    #: An earlier request under the same key was what brought it about.
    is_replay: bool = False


class KeyTaken(Invalid):
    """The key belongs to an execution that was asked for with another body."""

    code = "idempotency_key_taken"

    def __init__(self, key: str, execution_id: str) -> None:
        message = f"{key!r} belongs to execution {execution_id}, which was asked for with another body"
        super().__init__(
            f"{HEADER} {message}: choose a new key for a new request",
            [Fault(field=HEADER, message=message)],
        )


def key_of(said: str, body: Mapping[str, Any]) -> IdempotencyKey:
    """The key that a header holds, for this body. Raises `Invalid` for what is none.

    The body counts as it is understood, not as it is written: order and spaces make no difference.
    """
    if not _KEY.fullmatch(said):
        message = f"must be 1 to 255 visible ASCII characters, without spaces; this has {len(said)}"
        raise Invalid(f"{HEADER} {message}", [Fault(field=HEADER, message=message)])
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return IdempotencyKey(key=said, body_hash=hashlib.sha256(canonical.encode()).hexdigest())


def known(conn: Connection, agent_id: str, key: IdempotencyKey) -> Execution | None:
    """What has this key already. Raises `KeyTaken` when it was asked for with another body.

    A key that was refused is free: nothing has run, and its caller was told to come again.
    """
    found = idempotency_store.find(conn, agent_id, key.key)
    if found is None:
        return None
    execution_id, body_hash = found
    execution = store.get(conn, execution_id)
    if execution is None or execution.state is State.REFUSED:
        return None
    if body_hash != key.body_hash:
        raise KeyTaken(key.key, execution_id)
    return execution


class IdempotencyKeys:
    """The engine's module that forgets old keys."""

    name = "idempotency-keys"

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._due_at: datetime | None = None

    async def run(self, now: datetime) -> datetime | None:
        """Forget what is old enough, once in an hour."""
        if self._due_at is None or self._due_at <= now:
            await self._storage.write(
                lambda conn: idempotency_store.forget_older(conn, than=now - REMEMBERED)
            )
            self._due_at = now + INTERVAL
        return self._due_at
