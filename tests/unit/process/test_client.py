import asyncio
import dataclasses
import json
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from kokino.errors import ProcessError
from kokino.process import client
from kokino.process.attaching import Connection
from kokino.process.client import Warden
from kokino.process.model import Ended

#: No process has it: the keeper is gone when somebody looks.
NOBODY = 2**22 + 1
#: Far longer than anything here takes, in seconds.
PATIENCE = 20


class Peer:
    """The other end of a broker's connections, which a test speaks for."""

    def __init__(self, folder: Path) -> None:
        self.exit_file = folder / "e.exit"
        self.ends: list[socket.socket] = []

    async def connect(self, *running: str) -> Connection:
        """A connection to a warden under which `running` run."""
        ours, theirs = socket.socketpair()
        self.ends.append(theirs)
        reader, writer = await asyncio.open_connection(sock=ours)
        return Connection(
            reader=reader,
            writer=writer,
            pid=NOBODY,
            cgroup=None,
            running={
                id: {
                    "pid": NOBODY,
                    "started_at_ticks": 1,
                    "keeper_pid": NOBODY,
                    "keeper_started_at_ticks": 1,
                    "exit_file": str(self.exit_file),
                }
                for id in running
            },
            ended={},
            samples={},
        )

    def say(self, text: bytes) -> None:
        """Send the broker `text` and die."""
        self.ends[-1].sendall(text)
        self.ends[-1].close()


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[Peer]:
    """A peer, whose sockets are closed when the test is over."""
    peer = Peer(tmp_path)
    yield peer
    for end in peer.ends:
        end.close()


async def until(condition: Callable[[], bool]) -> None:
    """Return once `condition` holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    "last_words",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b'{"event": "samples", "samp', id="half a message"),
        pytest.param(b'{"event": "samples", "samples": {"e": "\xff', id="half a character"),
        pytest.param(b'{"event": "ended", "id": "e"}\n', id="a message without what it must hold"),
    ],
)
async def test_however_a_warden_breaks_off_its_executions_end_and_it_is_replaced(
    peer: Peer, last_words: bytes
) -> None:
    """A warden may be killed halfway through a message: its keepers tell the ends, another one serves."""
    ended = Ended(code=3, signal=None, was_stopped=False, leftovers=0)
    peer.exit_file.write_text(json.dumps(dataclasses.asdict(ended)))
    warden = Warden(await peer.connect("e"), peer.connect)
    asking = asyncio.create_task(warden.stop("e"))
    await asyncio.sleep(0)

    peer.say(last_words)

    async with asyncio.timeout(PATIENCE):
        assert await warden.ended("e") == ended
        await asking
    await until(lambda: len(peer.ends) == 2 and warden.fault is None)
    assert not warden.died.is_set()
    await warden.release()


async def test_who_asks_is_told_that_a_warden_is_missing(peer: Peer) -> None:
    """From the death of a warden until another one serves the broker is not ready, and says why."""
    is_there = asyncio.Event()

    async def again() -> Connection:
        await is_there.wait()
        return await peer.connect()

    warden = Warden(await peer.connect("e"), again)
    assert warden.fault is None

    peer.say(b'{"event": "sa')

    await until(lambda: warden.fault is not None)
    assert warden.fault == "it died, another one is being started"
    is_there.set()
    await until(lambda: warden.fault is None)
    await warden.release()


async def test_another_warden_is_tried_for_again_when_the_system_refuses(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that is out of descriptors for a moment is not without a warden for ever."""
    monkeypatch.setattr(client, "AFTER_FAILURE", 0)
    refusals = [OSError(24, "Too many open files"), ProcessError("it does not answer")]

    async def again() -> Connection:
        if refusals:
            raise refusals.pop()
        return await peer.connect()

    warden = Warden(await peer.connect("e"), again)

    peer.say(b"")

    await until(lambda: len(peer.ends) == 2 and warden.fault is None)
    assert refusals == []
    await warden.release()


async def test_that_no_other_warden_will_come_is_told(peer: Peer) -> None:
    """A broker that cannot get one any more says so instead of promising one."""

    async def again() -> Connection:
        raise RuntimeError

    warden = Warden(await peer.connect("e"), again)

    peer.say(b"")

    await until(lambda: "no other could be started (RuntimeError())" in (warden.fault or ""))
    await warden.release()
