"""The FIFO by which a CLI hears its broker: nothing is lost in it, and nobody waits for it."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from kokino.executions.channel import Channel

#: Far longer than anything here takes, in seconds.
PATIENCE = 60


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[Channel]:
    """A channel that nobody listens to yet."""
    channel = Channel(tmp_path / "1.stdin")
    channel.create()
    yield channel
    channel.close()


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


async def test_who_does_not_listen_any_more_is_sent_nothing(channel: Channel) -> None:
    """A CLI that is gone breaks nothing, before or in the middle of a long word."""
    listener = Listener(channel)
    channel.send(b"x" * 1024 * 1024)
    listener.hang_up()
    channel.send(b"y")
    channel.end()
    await asyncio.sleep(0)
    channel.send(b"z")


async def test_closing_forgets_what_nobody_has_read(channel: Channel) -> None:
    """Whatever waits, closing is closing, and closing twice is as good as once."""
    channel.send(b"x" * 1024 * 1024)
    listener = Listener(channel)
    channel.close()
    channel.close()
    assert len(await listener.all()) <= 64 * 1024


def test_nobody_else_may_listen_or_speak(channel: Channel) -> None:
    """A prompt is private."""
    mode = channel.path.stat().st_mode
    assert stat.S_ISFIFO(mode)
    assert stat.S_IMODE(mode) == 0o600
