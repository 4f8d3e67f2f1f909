"""What a restart keeps, and so cannot change: the socket, the database, and the warden's language."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from kokino.app.settings import Checked, database_url
from kokino.process import warden

#: What each of these is called where somebody changes it.
NAMES = {
    "host": "server.host or --host",
    "port": "server.port or --port",
    "database": "storage.url or KOKINO_DATABASE_URL",
    "protocol": "the warden's protocol, by an update of Kokino",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The facts that two brokers must share for the second to go on where the first one was."""

    #: As it was asked for, not as it was resolved.
    host: str
    #: 0 for a free one.
    port: int
    #: Hash of the database's address, which may hold a password.
    database: str
    #: Version of what the warden is told and tells.
    protocol: int

    @classmethod
    def of(
        cls, checked: Checked, environment: Mapping[str, str], *, host: str | None, port: int | None
    ) -> Self:
        """What this configuration asks for; `host` and `port` go before it."""
        address = database_url(checked, environment)
        return cls(
            host=host or checked.server.host,
            port=checked.server.port if port is None else port,
            database=hashlib.sha256(address.encode()).hexdigest(),
            protocol=warden.PROTOCOL,
        )

    def dumps(self) -> str:
        """As text, for another process."""
        return json.dumps(dataclasses.asdict(self))


def differences(before: str, after: Standing) -> list[str]:
    """The names of what differs from the dumped standing of another broker.

    One of another version may know other facts; those that both know must agree.
    """
    then, now = json.loads(before), dataclasses.asdict(after)
    return [NAMES[fact] for fact in now if fact in then and then[fact] != now[fact]]
