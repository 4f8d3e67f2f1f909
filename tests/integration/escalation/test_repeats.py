"""What Alertmanagers hear again, as the outbox and the silences say it: a new broker knows it all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

import pytest

from kokino.alerts.punctuality import Punctuality
from kokino.escalation.repeats import Repeats
from kokino.escalation.standing import Standings
from kokino.notify import store as outbox
from kokino.notify.channels.alertmanager import Round, Stands
from kokino.notify.model import Action, DeliveryState
from kokino.storage import Storage
from kokino.testing.clock import ManualClock
from tests.fixtures.episodes import Episodes
from tests.integration.escalation.test_escalations import DESK, START, after
from tests.integration.escalation.test_quiet import Quieted

#: A receiver that reads, as an Alertmanager does.
READER = "headless"


class Listening:
    """Takes the place of an Alertmanager's channel and keeps what it would have sent."""

    def __init__(self) -> None:
        self.rounds: list[Round] = []

    async def repeat(self, read: Callable[[], Awaitable[Round]]) -> None:
        """Ask, and keep the answer."""
        self.rounds.append(await read())


class Repeating(Quieted):
    """A broker that tells an Alertmanager; a new one at each step."""

    async def heard(self, minutes: float) -> tuple[list[Action], list[Action], list[Action]]:
        """What fires, what is quiet and what is over, by the message that tells of it."""
        channel = Listening()
        ways = {READER: channel}
        repeats = Repeats(self.storage, self.desk, ways, Punctuality([]))  # type: ignore[arg-type]
        await repeats.run(after(minutes))
        await repeats.tasks.settled()
        [found] = channel.rounds
        fires, quiet, ends = (
            [each.action for each in part] for part in (found.fires, found.quiet, found.ends)
        )
        return fires, quiet, ends

    async def stands(self, minutes: float) -> Stands:
        """How the first page to the reader stands by then."""
        [first, *_] = [sent for sent in await self.sent() if sent.receiver == READER]
        return await Standings(storage=self.storage, clock=ManualClock(after(minutes)), desk=self.desk).of(
            first
        )


@pytest.fixture
def broker(storage: Storage) -> Repeating:
    """Everything between an alert and the repeats."""
    return Repeating(storage, DESK)


async def test_what_is_silenced_is_over_until_the_silence_is(episodes: Episodes, broker: Repeating) -> None:
    """An acknowledged alert comes back as well, though nobody is told anew."""
    await episodes.fire(START)
    await broker.at(0)
    await broker.answer(0, headless=DeliveryState.DELIVERED)
    assert await broker.heard(1) == ([Action.TRIGGER], [], [])
    assert await broker.stands(1) is Stands.FIRES
    await broker.silence(2, until=10)
    assert await broker.heard(3) == ([], [Action.TRIGGER], [])
    assert await broker.stands(3) is Stands.QUIET
    assert await broker.heard(10) == ([Action.TRIGGER], [], [])
    assert await broker.stands(10) is Stands.FIRES


async def test_an_end_is_said_again_for_an_hour_whatever_became_of_it(
    episodes: Episodes, broker: Repeating
) -> None:
    """As long as an earlier word of ours may stand; a further tier's message that still waits is not told."""
    episode = await episodes.fire(START)
    await broker.at(0)
    await broker.answer(0, headless=DeliveryState.DELIVERED)
    await episodes.resolve(episode, after(5))
    await broker.at(5)
    assert await broker.heard(6) == ([], [], [Action.RESOLVE])
    await broker.answer(6, headless=DeliveryState.FAILED)
    assert await broker.heard(64) == ([], [], [Action.RESOLVE])
    assert await broker.heard(65) == ([], [], [])
    assert await broker.stands(65) is Stands.OVER


async def test_another_receivers_end_is_no_end(
    episodes: Episodes, broker: Repeating, storage: Storage
) -> None:
    """Each is told by its own rows."""
    episode = await episodes.fire(START)
    await broker.at(0)
    [page, *_] = [sent for sent in await broker.sent() if sent.receiver == "oncall"]
    ending = partial(
        outbox.enqueue,
        receiver="oncall",
        action=Action.RESOLVE,
        dedup_key=page.dedup_key,
        message=replace(page.message, summary=()),
        now=after(1),
        episode_id=episode,
    )
    await storage.write(ending)
    assert await broker.stands(2) is Stands.FIRES
