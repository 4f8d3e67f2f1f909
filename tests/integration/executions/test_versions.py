"""Versions that are written down with executions, later."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kokino.executions.versions import VersionNotes
from kokino.process.client import Warden
from kokino.process.versions import Versions
from kokino.storage import Storage
from tests.integration.executions.given import Queue, agent, execution

ENV = {"PATH": os.defpath}


async def test_an_execution_that_has_ended_is_told_later(
    queue: Queue, storage: Storage, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Nobody waits for it."""
    await queue.agents(agent("writer"))
    await queue.accept(execution("a"))
    cli = tmp_path / "cli"
    cli.write_text("#!/bin/sh\necho 1.0.0\n", "utf-8")
    cli.chmod(0o755)
    warden = await Warden.attach(tmp_path_factory.mktemp("w"))
    versions = Versions(warden=warden, spool=tmp_path_factory.mktemp("spool"))
    notes = VersionNotes(versions=versions, storage=storage)
    try:
        notes.note("a", (str(cli),), ENV, tmp_path)
        await notes.settled()
    finally:
        await warden.close()
    assert (await queue.get("a")).cli_version == "1.0.0"
