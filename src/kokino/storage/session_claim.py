"""One broker for each PostgreSQL database, as `claim` says it for files: by a lock of the server's own."""

from __future__ import annotations

import psycopg
from psycopg.errors import LockNotAvailable

from kokino.storage import claim

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


def claim_session(connection: psycopg.Connection, where: str) -> None:
    """Claim a PostgreSQL database for as long as `connection` lives. Raises `StorageError` where it is taken.

    The connection calls itself `claimant` as its application_name.
    """
    try:
        with connection.transaction():
            connection.execute(KEEPALIVE)
            connection.execute(
                "SELECT set_config('lock_timeout', %s, true)", [f"{claim.PATIENCE * 1000:.0f}ms"]
            )
            connection.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_LOCK])
    except LockNotAvailable:
        holder = connection.execute(HOLDER, [ADVISORY_LOCK]).fetchone()
        raise claim.taken(where, holder[0] if holder else "") from None
