"""Which version of its CLI ran, for executions whose records do not tell it.

It is asked in the background, after an execution has ended: a CLI that hangs there holds nobody up.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from kokino.errors import StorageError
from kokino.executions import store
from kokino.process.versions import Versions
from kokino.storage import Storage
from kokino.tasks import Tasks


@dataclass(slots=True)
class VersionNotes:
    """Writes versions down with executions."""

    versions: Versions
    storage: Storage
    _tasks: Tasks = field(default_factory=Tasks)

    def known(self, command: tuple[str, ...], env: Mapping[str, str], cwd: Path) -> str | None:
        """The version of the program behind `command`, where it has told it before."""
        return self.versions.known(command, env, cwd)

    def note(self, execution_id: str, command: tuple[str, ...], env: Mapping[str, str], cwd: Path) -> None:
        """Write the version of the program behind `command` down, as soon as it is known."""
        noting = self._note(execution_id, command, env, cwd)
        self._tasks.start(noting, name=f"version for {execution_id}")

    async def settled(self) -> None:
        """Return when nothing is asked any more."""
        await self._tasks.settled()

    async def stop(self) -> None:
        """End what is being asked."""
        await self._tasks.stop()
        await self.versions.stop()

    async def _note(
        self, execution_id: str, command: tuple[str, ...], env: Mapping[str, str], cwd: Path
    ) -> None:
        version = await self.versions.of(command, env, cwd)
        if version is None:
            return
        with suppress(StorageError):  # a database that is away has more to lose than this
            await self.storage.write(lambda conn: store.note_version(conn, execution_id, version))
