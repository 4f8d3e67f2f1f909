"""What a broker stands on: the resources that have to be opened, and closed again in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from kokino.app.server import bind
from kokino.app.settings import Checked, database_url
from kokino.clock import Clock
from kokino.errors import ProcessError
from kokino.ids import Ids
from kokino.notify.channels import open_client
from kokino.process.cgroup import find_delegated
from kokino.process.client import Warden
from kokino.storage import Storage, open_storage
from kokino.storage.installation import identity

#: A socket's path has room for 107 bytes; the home's folder and ``warden.sock`` take 29 of them.
LONGEST_ROOT = 107 - 29


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What tests, drills and demonstrations replace."""

    clock: Clock
    ids: Ids
    #: The broker's own environment variables.
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Everything that is open while a broker runs."""

    world: World
    listener: socket.socket
    storage: Storage
    warden: Warden
    client: httpx.AsyncClient
    #: Where the warden's socket lies.
    runtime_folder: Path
    #: Tells this installation's pages from all others'.
    installation: str

    @property
    def host(self) -> str:
        """The address it listens on."""
        host: str = self.listener.getsockname()[0]
        return host

    @property
    def url(self) -> str:
        """Where it answers: ``http://127.0.0.1:5050``."""
        host, port = self.listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def release(self) -> None:
        """Leave the socket and every process to the next broker, and let go of the rest."""
        await self.warden.release()
        await self.client.aclose()
        await self.storage.close()

    async def close(self) -> None:
        """End every process, then let go of the rest."""
        self.listener.close()
        await self.warden.close()
        # While the database is still claimed: nobody else can be attaching to a warden of this home.
        await asyncio.to_thread(shutil.rmtree, self.runtime_folder, ignore_errors=True)
        await self.client.aclose()
        await self.storage.close()


async def open_ground(
    checked: Checked,
    world: World,
    *,
    host: str | None,
    port: int | None,
    listener: socket.socket | None = None,
) -> Ground:
    """Open everything, the port first: a second broker by mistake touches nothing of the first one's.

    `listener` is one that an earlier broker has left open. Raises `CannotListen`, `StorageError` or
    `ProcessError`; then nothing is left open.
    """
    async with contextlib.AsyncExitStack() as opened:
        if listener is None:
            listener = bind(host or checked.server.host, checked.server.port if port is None else port)
        opened.push(listener)
        storage = await open_storage(database_url(checked, world.environment))
        opened.push_async_callback(storage.close)
        folder = runtime_folder(checked.config.home, world.environment)
        root = find_delegated() if checked.process.may_use_cgroup else None
        warden = await Warden.attach(folder, hold=checked.process.hold, cgroup=root)
        opened.push_async_callback(warden.close)
        fresh = world.ids.uuid()
        ground = Ground(
            world=world,
            listener=listener,
            storage=storage,
            warden=warden,
            client=open_client(),
            runtime_folder=folder,
            installation=await storage.write(lambda conn: identity(conn, fresh)),
        )
        opened.pop_all()
    return ground


def runtime_folder(home: Path, environment: Mapping[str, str]) -> Path:
    """Where the warden's socket lies: short enough for a socket path, private, and the home's own."""
    root = _runtime_root(environment)
    root.mkdir(mode=0o700, exist_ok=True)
    if root.stat().st_uid != os.getuid():
        raise ProcessError(f"{root} belongs to somebody else: set XDG_RUNTIME_DIR to a folder of your own")
    return runtime_path(home, environment)


def runtime_path(home: Path, environment: Mapping[str, str]) -> Path:
    """The same where nothing is to be made."""
    return _runtime_root(environment) / hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:16]


def _runtime_root(environment: Mapping[str, str]) -> Path:
    if base := environment.get("XDG_RUNTIME_DIR"):
        return Path(base) / "kokino"
    own = f"kokino-{os.getuid()}"
    usual = Path(tempfile.gettempdir()) / own
    return usual if len(str(usual)) <= LONGEST_ROOT else Path("/tmp") / own  # noqa: S108 - made private
