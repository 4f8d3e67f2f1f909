"""What one broker leaves for the next comes through `execve`, however much it is."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import pytest

#: As many lost executions as a variable could not carry: the kernel takes 128 KiB.
MANY = 20_000
#: Becomes itself once more, as a broker does, and then tells what it has got.
PROGRAM = f"""
import json, os, socket
from contextlib import suppress
from kokino.app.handover import Handover, go_on
from kokino.executions.bound import Bound, Tie

taken = Handover.taken(os.environ)
if taken is None:
    if os.environ.get("WITHOUT_MEMFD"):
        del os.memfd_create
    names = (f"exec-{{number:05}}" for number in range({MANY}))
    lost = tuple(Bound(execution_id=name, agent_id="writer", by=Tie.TMUX) for name in names)
    listener = socket.create_server(("127.0.0.1", 0))
    go_on(Handover(listener=listener, executions=7, lost=lost), [])
def opened():
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the folder's own
            yield os.readlink(f"/proc/self/fd/{{number}}")
print(json.dumps({{
    "executions": taken.executions,
    "lost": len(taken.lost),
    "last": taken.lost[-1].execution_id,
    "carriers": [name for name in opened() if "(deleted)" in name],
}}))
"""


@pytest.mark.parametrize("without_memfd", ["", "yes"])
async def test_a_restart_hands_over_however_many_executions_were_lost(without_memfd: str) -> None:
    """All of them are named by the next broker, and what carried them is closed behind it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        env={**os.environ, "WITHOUT_MEMFD": without_memfd},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    assert json.loads(said) == {"executions": 7, "lost": MANY, "last": f"exec-{MANY - 1:05}", "carriers": []}
