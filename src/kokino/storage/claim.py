"""One broker for each database: a second one would take the first one's running executions for lost ones.

The claim is the operating system's or the server's own lock, so a broker that dies in any way gives it up.
"""

from __future__ import annotations

import fcntl
import math
import os
import socket
import time
from pathlib import Path
from typing import BinaryIO

import psycopg
from psycopg.errors import LockNotAvailable

from kokino.errors import StorageError

#: How long an earlier broker may take to be gone once it was killed, in seconds.
PATIENCE = 5.0
#: How often a file is tried meanwhile, in seconds; a server has a queue of its own.
PAUSE = 0.05
#: The lock's number in a PostgreSQL database. Any constant will do, other than the one of `migrate`.
ADVISORY_LOCK = 0x6B6F6B696E6F + 1

#: Finds who holds the lock, as it called itself.
HOLDER = """
    SELECT activity.application_name
    FROM pg_locks AS lock JOIN pg_stat_activity AS activity USING (pid)
    WHERE lock.locktype = 'advisory' AND lock.granted
      AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (lock.classid::bigint << 32) | lock.objid::bigint = %s
"""
#: A server finds a broker's host gone after a minute, not after the two hours that are TCP's default.
KEEPALIVE = """
    SELECT set_config('tcp_keepalives_idle', '30', false),
           set_config('tcp_keepalives_interval', '10', false),
           set_config('tcp_keepalives_count', '3', false)
"""


def claimant() -> str:
    """This broker, as a refused one will tell: ``pid 4711 on host build-3``."""
    return f"pid {os.getpid()} on host {socket.gethostname()}"


def claim_file(path: Path) -> BinaryIO:
    """Claim a SQLite file until what is returned is closed. Raises `StorageError` where it is taken.

    The lock stands on a file beside it: closing any descriptor of the database's own file would drop the
    locks that SQLite holds on it. No child inherits the descriptor: the warden outlives its broker.
    """
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    # Stays when the claim ends: whoever removed it could remove the one that a successor has just locked.
    claim = os.fdopen(descriptor, "r+b", buffering=0)
    if not _lock(claim):
        holder = claim.read().decode(errors="replace")
        claim.close()
        raise _taken(str(path), holder)
    claim.truncate()
    claim.write(claimant().encode())
    return claim


def _lock(claim: BinaryIO) -> bool:
    for _ in range(math.ceil(PATIENCE / PAUSE)):
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(PAUSE)
        else:
            return True
    return False


def claim_session(connection: psycopg.Connection, where: str) -> None:
    """Claim a PostgreSQL database for as long as `connection` lives. Raises `StorageError` where it is taken.

    The connection calls itself `claimant` as its application_name.
    """
    try:
        with connection.transaction():
            connection.execute(KEEPALIVE)
            connection.execute("SELECT set_config('lock_timeout', %s, true)", [f"{PATIENCE * 1000:.0f}ms"])
            connection.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_LOCK])
    except LockNotAvailable:
        holder = connection.execute(HOLDER, [ADVISORY_LOCK]).fetchone()
        raise _taken(where, holder[0] if holder else "") from None


def _taken(where: str, holder: str) -> StorageError:
    known = f" ({holder})" if holder else ""
    return StorageError(
        f"{where}: another broker uses this database{known}; stop it, or give this one a database of its own"
    )
