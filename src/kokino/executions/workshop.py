"""What executions are run with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import structlog
from sqlalchemy import Connection

from kokino.agents.model import CliType
from kokino.clock import Clock
from kokino.errors import StorageError
from kokino.executions.versions import VersionNotes
from kokino.ids import Ids
from kokino.process.client import Warden
from kokino.process.tmux.server import TmuxServer
from kokino.storage import Storage
from kokino.tasks import AFTER_FAILURE

log = structlog.get_logger(__name__)


T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """The same for every execution of a broker."""

    storage: Storage
    clock: Clock
    ids: Ids
    warden: Warden
    #: Where a CLI is started that is worked as a person would.
    terminals: TmuxServer
    cli_types: Mapping[str, CliType]
    #: Below it each running execution has a folder.
    spool: Path
    #: Below it each agent has a log file.
    logs: Path
    #: Below it each execution that changed a git repository has a folder with the objects that tell what.
    changes: Path
    versions: VersionNotes
    #: Called after an event that an alert rule may wait for.
    on_event: Callable[[], None]
    #: What every CLI inherits, before its CLI type's and agent's own variables.
    environment: Mapping[str, str]

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Write, again and again while the database is away: only this broker knows what is to be written."""
        while True:
            try:
                return await self.storage.write(work)
            except StorageError as error:
                log.error("what became of an execution cannot be written; trying again", reason=error.message)  # noqa: TRY400
            await asyncio.sleep(AFTER_FAILURE)
