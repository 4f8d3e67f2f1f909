"""The FIFO by which a CLI hears its broker: nothing is lost in it, and nobody waits for it."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from kokino.executions.attempts.channel import BEHIND, CHUNK, Channel

#: Far longer than anything here takes, in seconds.
PATIENCE = 60


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[Channel]:
    """A channel that nobody listens to yet."""
    channel = Channel(tmp_path / "1.stdin")
    channel.create()
    yield channel
    channel.close()


def is_open(channel: Channel) -> bool:
    """True while this process has a descriptor of it."""
    links = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
    return str(channel.path) in links


class Listener:
    """Reads the channel as a CLI does, in a thread of its own."""

    def __init__(self, channel: Channel) -> None:
        self._descriptor = os.open(channel.path, os.O_RDONLY)
        channel.handed_over()

    async def all(self) -> bytes:
        """Everything up to its end."""
        with os.fdopen(self._descriptor, "rb") as file:
            return await asyncio.wait_for(asyncio.to_thread(file.read), PATIENCE)

    def hang_up(self) -> None:
        """Listen no more."""
        os.close(self._descriptor)


async def test_what_is_sent_arrives_in_order_and_then_ends(channel: Channel) -> None:
    """Also what was sent before anybody listened."""
    channel.send(b"one\n")
    listener = Listener(channel)
    channel.send(b"two\n")
    channel.end()
    assert await listener.all() == b"one\ntwo\n"


async def test_more_than_fits_is_sent_when_there_is_room(channel: Channel) -> None:
    """Sending returns at once; the end comes behind the last byte."""
    words = os.urandom(3 * 1024 * 1024)
    channel.send(words)
    channel.end()
    channel.send(b"too late")
    assert await Listener(channel).all() == words


@pytest.mark.parametrize("says_more", [True, False])
async def test_who_does_not_listen_any_more_is_sent_nothing(channel: Channel, says_more: bool) -> None:
    """A CLI that goes in the middle of a long word breaks nothing; what was for it is let go of."""
    listener = Listener(channel)
    assert channel.send(b"x" * 1024 * 1024)
    assert channel.unsent > 0
    listener.hang_up()
    if says_more:
        assert channel.send(b"y")
    async with asyncio.timeout(PATIENCE):
        while is_open(channel):
            await asyncio.sleep(0.001)
    assert channel.send(b"z")
    channel.end()
    assert channel.unsent == 0


async def test_who_does_not_read_is_sent_no_more_than_a_bound(channel: Channel) -> None:
    """Answers to a CLI that asks without end pile up to about a megabyte; then the channel closes."""
    listener, answer, sent = Listener(channel), b"x" * 1000, 0
    while channel.send(answer):
        sent += len(answer)
        assert channel.unsent <= BEHIND + CHUNK
    assert sent >= BEHIND
    listener.hang_up()  # its own descriptor is of the same FIFO
    assert (is_open(channel), channel.unsent) == (False, 0)


async def test_who_reads_may_be_sent_any_amount(channel: Channel) -> None:
    """What has been read counts no more, however much it was and however far behind the reader is."""
    listener, words = Listener(channel), os.urandom(100_000)
    reading = asyncio.create_task(listener.all())
    for _ in range(40):
        assert channel.send(words)
        async with asyncio.timeout(PATIENCE):
            while channel.unsent > BEHIND // 2:
                await asyncio.sleep(0)
    channel.end()
    assert await reading == words * 40


async def test_closing_forgets_what_nobody_has_read(channel: Channel) -> None:
    """Whatever waits, closing is closing, and closing twice is as good as once."""
    channel.send(b"x" * 1024 * 1024)
    listener = Listener(channel)
    channel.close()
    channel.close()
    assert channel.unsent == 0
    assert len(await listener.all()) <= 64 * 1024


def test_nobody_else_may_listen_or_speak(channel: Channel) -> None:
    """A prompt is private."""
    mode = channel.path.stat().st_mode
    assert stat.S_ISFIFO(mode)
    assert stat.S_IMODE(mode) == 0o600
