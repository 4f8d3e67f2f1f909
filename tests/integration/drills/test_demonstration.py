"""A demonstration that misses a step says so, keeps what one needs to look further, and ends everything."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import IO

import httpx
import pytest
from rich.console import Console

from kokino.drills.demo import demonstrate
from kokino.drills.fleet import Fleet
from kokino.drills.story import Step


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary homes go; the broker's log is let go of afterwards."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    yield tmp_path
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, logging.FileHandler):
            root.removeHandler(handler)
            handler.close()


def never(_fleet: Fleet) -> Sequence[Step]:
    """A story with a step that cannot happen."""
    return [Step(id="miracle", title="A miracle happens", sees=lambda _facts: None, budget=timedelta(0))]


def told(file: IO[str], *, story: Callable[[Fleet], Sequence[Step]], keep: bool = False) -> bool:
    """Play a story on a clock so fast that real time alone bounds it."""
    return asyncio.run(demonstrate(Console(file=file, width=80), scale=300, port=0, keep=keep, story=story))


def test_a_story_whose_expectation_is_not_met_fails_and_names_the_step(folder: Path) -> None:
    """The result is False, and the home with the broker's log stays and is named."""
    written = io.StringIO()

    was_seen = told(written, story=never)

    [home] = folder.glob("kokino-demo-*")
    said = written.getvalue()
    log = home / "broker" / "logs" / "broker.log"
    assert not was_seen
    assert "Missed: miracle (A miracle happens)" in said
    assert "Seen instead: executions that ended: none" in said
    assert f"The broker's log: {log}\n" in said
    assert "the broker answers" in log.read_text(encoding="utf-8")
    url = said.partition("The broker at ")[2].split()[0]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health", trust_env=False)


def test_a_story_that_was_seen_leaves_nothing_behind(folder: Path) -> None:
    """Its home goes unless somebody asked to keep it."""
    assert told(io.StringIO(), story=lambda _fleet: [])
    assert list(folder.glob("kokino-demo-*")) == []

    assert told(io.StringIO(), story=lambda _fleet: [], keep=True)
    assert len(list(folder.glob("kokino-demo-*"))) == 1
