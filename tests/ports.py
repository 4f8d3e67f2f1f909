"""Ports for servers that take none by themselves."""

from __future__ import annotations

import itertools
import os
import socket

#: Below those that the kernel hands out: one of them is somebody else's before a server has begun to listen.
FIRST, COUNT = 10_000, 20_000
#: So many a process has before it comes to those of the next.
EACH = 16

_STEPS = itertools.count()


def a_port() -> int:
    """One that nobody listens on, and that no other test process is given at the same time."""
    own = (FIRST + (EACH * os.getpid() + step) % COUNT for step in _STEPS)
    return next(port for port in itertools.islice(own, COUNT) if _is_free(port))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
