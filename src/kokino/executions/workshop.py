"""What executions are run with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kokino.agents.model import CliType
from kokino.clock import Clock
from kokino.executions.versions import Versions
from kokino.ids import Ids
from kokino.process.client import Warden
from kokino.storage import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """The same for every execution of a broker."""

    storage: Storage
    clock: Clock
    ids: Ids
    warden: Warden
    cli_types: Mapping[str, CliType]
    #: Below it each running execution has a folder.
    spool: Path
    #: Below it each agent has a log file.
    logs: Path
    #: Below it each execution that changed a git repository has a folder with the objects that tell what.
    changes: Path
    versions: Versions
    #: What every CLI inherits, before its CLI type's and agent's own variables.
    environment: Mapping[str, str]
