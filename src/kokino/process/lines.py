"""JSON lines on a socket that never blocks: the warden's end of a connection. Standard library only."""

from __future__ import annotations

import json
import select
import socket
import struct
from contextlib import suppress
from typing import Any

#: A launch carries argv and environment: the kernel takes 2 MiB of them, JSON may take six times that.
LONGEST_LINE = 16 * 1024 * 1024
_CHUNK = 256 * 1024
#: struct ucred of unix(7): pid, uid, gid.
_CREDENTIALS = struct.Struct("3i")


class Lines:
    """One peer: what it says as messages, and what could not be sent yet."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.socket = connection
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        #: Who connected, as the kernel knows it.
        self.peer_pid, self.peer_uid, _ = _CREDENTIALS.unpack(credentials)
        self._heard = bytearray()
        self._unsent = bytearray()
        self._has_ended = False

    @property
    def has_unsent(self) -> bool:
        """True while `flush` has work to do."""
        return bool(self._unsent)

    def is_open(self) -> bool:
        """False once the peer is gone, even if nobody has read to the end of what it said."""
        if self._has_ended:
            return False
        poll = select.poll()
        poll.register(self.socket, select.POLLRDHUP)
        return not poll.poll(0)

    def receive(self) -> list[dict[str, Any]]:
        """All whole messages that are there; raises ValueError when one is no JSON object or too long."""
        while not self._has_ended:
            try:
                chunk = self.socket.recv(_CHUNK)
            except BlockingIOError:
                break
            except ConnectionError:
                chunk = b""
            self._has_ended = not chunk
            self._heard += chunk
            if len(self._heard) > LONGEST_LINE:
                raise ValueError(f"a message of more than {LONGEST_LINE} bytes")
        *whole, rest = self._heard.split(b"\n")
        self._heard = bytearray(rest)
        return [_message(line) for line in whole]

    def send(self, message: dict[str, Any]) -> None:
        """Send, or keep for `flush` what the peer does not take yet."""
        self._unsent += json.dumps(message).encode() + b"\n"
        self.flush()

    def flush(self) -> None:
        """Send as much as the peer takes now."""
        try:
            while self._unsent:
                del self._unsent[: self.socket.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:  # it is gone; `receive` finds that out
            self._unsent.clear()

    def hang_up(self) -> None:
        """Treat the peer as gone."""
        self._has_ended = True
        self._heard.clear()

    def close(self, *, patience: float = 0) -> None:
        """Close; give the peer `patience` seconds to take what is unsent."""
        with suppress(OSError):
            self.socket.settimeout(patience)
            self.socket.sendall(self._unsent)
        self.socket.close()


def _message(line: bytearray) -> dict[str, Any]:
    message = json.loads(line)
    if isinstance(message, dict):
        return message
    raise ValueError(f"a message is a JSON object, this is {bytes(line[:80])!r}")
