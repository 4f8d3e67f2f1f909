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

from kokino.errors import StorageError

#: How long an earlier broker may take to be gone once it was killed, in seconds.
PATIENCE = 5.0
#: How often a file is tried meanwhile, in seconds; a server has a queue of its own.
PAUSE = 0.05


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
        raise taken(str(path), holder)
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


def taken(where: str, holder: str) -> StorageError:
    """What a broker is told that comes too late; `holder` is the other's `claimant`, if known."""
    known = f" ({holder})" if holder else ""
    return StorageError(
        f"{where}: another broker uses this database{known}; stop it, or give this one a database of its own"
    )
