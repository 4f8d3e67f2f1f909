"""Asking binaries for their version: small programs that answer, hang, or say nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from kokino.process import versions as module
from kokino.process.client import Warden
from kokino.process.versions import Versions
from tests.sleepers import a_length, sleepers

ENV = {"PATH": os.defpath}


@pytest.fixture
async def versions(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Versions]:
    """Nothing asked yet, and a warden to ask under."""
    warden = await Warden.attach(tmp_path_factory.mktemp("w"))
    yield Versions(warden=warden, spool=tmp_path_factory.mktemp("spool"))
    await warden.close()


def program(folder: Path, body: str) -> tuple[str, ...]:
    """A CLI that does that, and notes each time that it is asked."""
    path = folder / "cli"
    path.write_text(f"#!/bin/sh\necho asked >> {folder}/asked\n{body}\n", "utf-8")
    path.chmod(0o755)
    return (str(path),)


def times_asked(folder: Path) -> int:
    """How often it was started."""
    return len((folder / "asked").read_text("utf-8").splitlines())


@pytest.mark.parametrize(
    ("says", "version"),
    [
        ("codex-cli 0.169.0", "0.169.0"),
        ("2.1.197 (Claude Code)", "2.1.197"),
        ("v1.2", "1.2"),
        ("1.0.0-beta.3", "1.0.0-beta.3"),
        ("no number", None),
    ],
)
async def test_the_version_is_found_in_what_it_says(
    versions: Versions, tmp_path: Path, says: str, version: str | None
) -> None:
    """Each CLI writes it in its own way."""
    assert await versions.of(program(tmp_path, f"echo '{says}'"), ENV, tmp_path) == version


def test_a_binary_that_is_being_replaced_has_no_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found, and gone in the next moment: the execution that it ran for has ended well all the same."""
    monkeypatch.setattr(shutil, "which", lambda program, path: str(tmp_path / program))
    versions = Versions(warden=cast("Any", None), spool=tmp_path)
    assert versions.known(("cli",), ENV, tmp_path) is None


async def test_a_binary_is_asked_once_and_again_when_it_has_changed(
    versions: Versions, tmp_path: Path
) -> None:
    """Also by many executions at the same time."""
    command = program(tmp_path, "echo 1.0.0")
    assert await asyncio.gather(*(versions.of(command, ENV, tmp_path) for _ in range(5))) == ["1.0.0"] * 5
    assert times_asked(tmp_path) == 1
    assert versions.known(command, ENV, tmp_path) == "1.0.0"
    assert list(versions.spool.iterdir()) == []
    program(tmp_path, "echo 2.0.0")
    os.utime(command[0], (1, 1))
    assert await versions.of(command, ENV, tmp_path) == "2.0.0"


@pytest.mark.parametrize("body", ["echo 1.0.0; exit 1", "exit 0", "kill -9 $$"])
async def test_one_that_fails_has_no_version(versions: Versions, tmp_path: Path, body: str) -> None:
    """And that is no error of whoever asks."""
    assert await versions.of(program(tmp_path, body), ENV, tmp_path) is None


async def test_one_that_told_nothing_is_asked_again(versions: Versions, tmp_path: Path) -> None:
    """It may only have been slow that day."""
    assert await versions.of(program(tmp_path, "exit 1"), ENV, tmp_path) is None
    assert await versions.of(program(tmp_path, "echo 3.1.4"), ENV, tmp_path) == "3.1.4"


async def test_one_that_is_not_there_is_not_asked(versions: Versions, tmp_path: Path) -> None:
    """Whoever starts it will be told."""
    assert await versions.of(("no-such-cli",), ENV, tmp_path) is None


async def test_one_that_hangs_is_ended_with_its_children(
    versions: Versions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some launchers start a worker that outlives them."""
    monkeypatch.setattr(module, "PATIENCE", 0.3)
    length = a_length()
    assert await versions.of(program(tmp_path, f"sleep {length} & sleep {length}"), ENV, tmp_path) is None
    assert sleepers(length) == []
