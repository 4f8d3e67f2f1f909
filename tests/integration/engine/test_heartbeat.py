"""The heartbeat: heard while alerts are looked at and the database takes something, and at no other time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
import structlog.testing

from kokino.alerts.punctuality import Punctuality
from kokino.engine import heartbeat
from kokino.engine.heartbeat import Heartbeat
from kokino.errors import StorageError
from kokino.notify.channels import open_client
from kokino.storage import Storage
from kokino.testing.clock import ManualClock
from kokino.testing.http_receiver import HttpReceiver, Request, Response

EVERY = timedelta(minutes=1)
#: Nobody may read it in a log.
PATH = "/ping/2c1f6f0e-secret"


class Switch(HttpReceiver):
    """A dead man's switch: it takes whatever it hears for a sign of life."""

    def process(self, request: Request) -> Response:
        assert (request.method, request.path) == ("GET", PATH)
        return Response(status=200, content=b"OK")

    def refusal(self, status: int) -> Response:
        return Response(status=status)


class Box:
    """A heartbeat with all that it goes by, each to be broken by hand."""

    def __init__(self, storage: Storage, client: httpx.AsyncClient, switch: Switch) -> None:
        self.clock = ManualClock()
        self.rules = Punctuality([])
        self.switch = switch
        self.heartbeat = Heartbeat(switch.url + PATH, EVERY, rules=self.rules, storage=storage, client=client)

    async def turn(self, *, looks: bool = True, fails: bool = False) -> None:
        """One cycle of the engine, a minute after the last one; what it began has ended."""
        self.clock.advance(minutes=1)
        now = self.clock.now()
        if fails:
            with pytest.raises(ValueError, match="no look"), self.rules.turn(now):
                raise ValueError("no look")
        elif looks:
            with self.rules.turn(now):
                pass
        assert await self.heartbeat.run(now) == now + EVERY
        while self.heartbeat.in_flight:
            await asyncio.sleep(0.005)

    def heard_and_fault(self) -> tuple[int, str | None]:
        """How many beats have come, and why the last one has not."""
        return self.heard, self.heartbeat.fault

    @property
    def heard(self) -> int:
        """How many beats have come."""
        return len(self.switch.requests)


@pytest.fixture
async def box(storage: Storage) -> AsyncIterator[Box]:
    """All of it in good order, on both databases."""
    async with open_client() as client, Switch() as switch:
        box = Box(storage, client, switch)
        yield box
        await box.heartbeat.stop()


async def test_it_is_heard_once_in_each_interval(box: Box) -> None:
    """However often the engine turns meanwhile."""
    await box.turn()
    box.clock.advance(seconds=59)
    await box.heartbeat.run(box.clock.now())
    assert (box.heard, box.heartbeat.in_flight) == (1, 0)
    await box.turn()
    assert box.heard == 2
    assert box.heartbeat.fault is None


async def test_it_is_silent_while_rules_are_not_looked_at(box: Box) -> None:
    """A look of the interval before proves nothing."""
    await box.turn()
    await box.turn(looks=False)
    assert box.heard == 1
    assert box.heartbeat.fault == "not sent, for the alert rules were not looked at"
    await box.turn()
    assert box.heard_and_fault() == (2, None)


async def test_it_is_silent_before_the_first_look(box: Box) -> None:
    """A broker that has only started has proved nothing yet."""
    await box.turn(looks=False)
    assert box.heard == 0


async def test_it_is_silent_after_a_look_that_failed(box: Box) -> None:
    """Though the next one went well within the same interval."""
    await box.turn()
    await box.turn(fails=True)
    assert box.heartbeat.fault == "not sent, for a look at the alert rules has failed"
    box.clock.advance(seconds=5)
    with pytest.raises(ValueError, match="again"), box.rules.turn(box.clock.now()):
        raise ValueError("again")
    await box.turn()
    assert box.heard == 1
    await box.turn()
    assert box.heard_and_fault() == (2, None)


async def test_it_is_silent_while_the_database_takes_nothing(
    box: Box, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a broker can read rules and pages nobody."""

    async def refuse(_storage: Storage, _fn: object) -> None:
        raise StorageError("the disk is full: free some space")

    with monkeypatch.context() as patched:
        patched.setattr(type(storage), "write", refuse)
        await box.turn()
    assert box.heard == 0
    assert (
        box.heartbeat.fault == "not sent, for the database takes nothing: the disk is full: free some space"
    )


async def test_a_failure_is_not_tried_again_before_its_time_and_logged_once(box: Box) -> None:
    """And neither the log nor anything else tells the address, which is a secret."""
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            box.switch.fail_next(503)
            await box.turn()
        await box.turn()
    assert box.heard == 4
    assert [(one["event"], one.get("reason")) for one in logs] == [
        ("the heartbeat fails", "not heard: answered with 503"),
        ("the heartbeat is heard again", None),
    ]
    assert PATH not in str(logs)


async def test_nobody_listens(box: Box, storage: Storage) -> None:
    """Said without the address."""
    async with open_client() as client:
        deaf = Heartbeat("http://127.0.0.1:9" + PATH, EVERY, rules=box.rules, storage=storage, client=client)
        box.heartbeat = deaf
        await box.turn()
    assert deaf.fault == "not heard: ConnectError"


async def test_a_url_that_hangs_holds_up_nothing(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine goes on at once, no second beat is begun beside the first, and the first is given up."""
    monkeypatch.setattr(heartbeat, "DEADLINE", 0.5)
    box.switch.hang_next()
    box.clock.advance(minutes=1)
    with box.rules.turn(box.clock.now()):
        pass
    await box.heartbeat.run(box.clock.now())
    await box.switch.received(1)
    box.clock.advance(minutes=1)
    await box.heartbeat.run(box.clock.now())
    assert (box.heard, box.heartbeat.in_flight) == (1, 1)
    while box.heartbeat.in_flight:
        await asyncio.sleep(0.01)
    assert box.heartbeat.fault == "it was not heard within 0.5 s"
    await box.turn()
    assert box.heard_and_fault() == (2, None)


async def test_a_fault_that_no_alert_can_tell_of_stops_it(box: Box, storage: Storage) -> None:
    """A damaged database that takes a beat but not the word of its damage."""
    told = ["the database is damaged"]
    async with httpx.AsyncClient() as client:
        box.heartbeat = Heartbeat(
            box.switch.url + PATH,
            EVERY,
            rules=box.rules,
            storage=storage,
            client=client,
            untold=lambda: next(iter(told), None),
        )
        await box.turn()
        assert box.heard_and_fault() == (0, "not sent, for the database is damaged")
        told.clear()
        await box.turn()
        assert box.heard_and_fault() == (1, None)


async def test_stopping_lets_go_of_a_beat_that_hangs(box: Box) -> None:
    """A broker that stops does not wait for the receiver."""
    box.switch.hang_next()
    with box.rules.turn(box.clock.now()):
        pass
    await box.heartbeat.run(box.clock.now())
    await box.switch.received(1)
    await box.heartbeat.stop()
    assert box.heartbeat.in_flight == 0
