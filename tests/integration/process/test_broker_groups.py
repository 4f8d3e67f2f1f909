"""A whole broker in a control group that was left to it, and in one that was not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.integration.process.groups import Root

#: Enters the group, runs a broker with one execution, and prints what the broker tells of its supervision.
PROGRAM = """
    import asyncio, json, os, sys
    from pathlib import Path
    from kokino.testing.broker import FLEET, TestBroker

    procs, home, setting = sys.argv[1:]
    if os.path.exists(procs):
        Path(procs).write_text("0")

    async def main():
        async with TestBroker(Path(home), f'[process]\\ncgroup = "{setting}"\\n{FLEET}') as broker:
            ended = (await broker.execute("writer")).json()
            print(json.dumps({**await broker.get("/api/health/supervision"), "success": ended["success"]}))

    asyncio.run(main())
"""


def told(root: Root, home: Path, setting: str) -> Any:
    """What a broker in `root` tells."""
    done = subprocess.run(
        [sys.executable, "-c", dedent(PROGRAM), str(root.path / "cgroup.procs"), str(home), setting],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def mark(root: Root) -> None:
    """Leave the group to whoever is in it, as systemd does."""
    if root.is_real:
        os.setxattr(root.path, "user.delegate", b"1")


def test_a_delegated_group_is_used_and_told_of(root: Root, tmp_path: Path) -> None:
    """By a broker whose file says nothing else; nothing of it is left."""
    mark(root)
    found = told(root, tmp_path / "home", "auto")
    assert (found["passed"], found["success"], found["warnings"]) == (True, True, [])
    if root.is_real:
        assert found["tier"] == "cgroup"
        assert Path(found["cgroup"]["path"]).parent.name == root.path.name
        # The broker itself is in the group, which keeps limits from being handed down.
        assert found["cgroup"]["limits"] == []
    assert root.groups() == []


@pytest.mark.parametrize("is_delegated", [True, False])
def test_no_group_is_used_that_was_switched_off_or_is_not_ours(
    root: Root, tmp_path: Path, *, is_delegated: bool
) -> None:
    """Delegated but switched off, or there but not delegated: trees are walked."""
    if is_delegated:
        mark(root)
    found = told(root, tmp_path / "home", "off" if is_delegated else "auto")
    assert (found["passed"], found["success"]) == (True, True)
    if root.is_real or is_delegated:
        assert (found["tier"], found["cgroup"]) == ("tree walk", None)
        expected = "switched off" if is_delegated else "none is delegated to this process"
        assert found["checks"][-1]["message"] == f"{expected}; trees are walked"
