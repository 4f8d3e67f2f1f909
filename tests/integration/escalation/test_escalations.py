"""Escalations through virtual time on both databases: who hears of what, when, and that it is never twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import Connection

from kokino.alerts.module import AlertRules
from kokino.barrier import Faults
from kokino.errors import Conflict, NotFound
from kokino.escalation import store
from kokino.escalation.acknowledge import Acknowledgements
from kokino.escalation.desk import Desk
from kokino.escalation.model import Escalation, EscalationState
from kokino.escalation.module import Escalations
from kokino.escalation.policy import packaged
from kokino.executions.store import users_running
from kokino.incidents import store as incident_store
from kokino.incidents.model import EntryKind, Pattern
from kokino.notify import store as outbox
from kokino.notify.model import Action, Delivery, DeliveryState, Outcome, Receipt
from kokino.notify.retry import Verdict
from kokino.notify.settings import PagerDutyReceiver, Routing, SlackReceiver
from kokino.slo.defaults import defaults
from kokino.storage import Storage
from kokino.testing.ids import SequentialIds
from tests.fixtures.episodes import RULES, Episodes, FakeRule, alert_id_of, incidents_of

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
PAGER = PagerDutyReceiver(url="https://pager.example", routing_key="key")
SLACK = SlackReceiver(webhook_url="https://slack.example/hook", channel="#headless-alerts")
ROUTING = Routing(
    receivers={"oncall": PAGER, "leads": PAGER, "director": PAGER, "headless": SLACK},
    owners={
        "@backend-team": ("oncall", "headless"),
        "@platform-lead": ("leads",),
        "@eng-director": ("director",),
    },
)
DESK = Desk(
    rules=RULES,
    policies=packaged(),
    routing=ROUTING,
    installation="test",
    public_url="https://kokino.example",
)


def silent() -> None:
    """Nobody waits for a bell here: every step runs everything."""


@dataclass
class Broker:
    """The modules between an alert and the outbox, new ones at each step: every step is a restart."""

    storage: Storage
    desk: Desk = DESK

    async def at(self, minutes: float) -> datetime | None:
        """Run everything at so many minutes from the start; when the escalations are due again."""
        now = after(minutes)
        await incidents_of(self.storage, self.desk.rules).run(now)
        return await Escalations(self.storage, self.desk, on_change=silent).run(now)

    async def sent(self) -> list[Delivery]:
        """The outbox, in the order of queueing."""
        return list(reversed(await self.storage.read(lambda conn: outbox.deliveries(conn, limit=1000))))

    async def pages(self) -> list[tuple[str, str]]:
        """(receiver, end of the dedup key) of each page."""
        return [
            (sent.receiver, sent.dedup_key.partition(":")[2])
            for sent in await self.sent()
            if sent.action is Action.TRIGGER and ROUTING.is_paging(sent.receiver)
        ]

    async def answer(self, minutes: float, **states: DeliveryState) -> None:
        """Receivers answer everything that waits for them: ``oncall=DELIVERED``."""
        now = after(minutes)
        for receiver, state in states.items():
            await self.storage.write(partial(_answer, receiver=receiver, state=state, now=now))

    async def escalation(self, episode_id: str) -> Escalation:
        """How an episode's escalation stands."""
        found = await self.storage.read(lambda conn: store.get(conn, episode_id))
        assert found is not None
        return found

    async def told(self, kind: EntryKind, *, incident: int = 1) -> list[str]:
        """The timeline's entries of one kind."""
        entries = await self.storage.read(lambda conn: incident_store.entries(conn, incident))
        return [entry.text for entry in entries if entry.kind is kind]


def after(minutes: float) -> datetime:
    """An instant on the timeline."""
    return START + timedelta(minutes=minutes)


def _answer(conn: Connection, receiver: str, state: DeliveryState, now: datetime) -> None:
    outcome = Outcome.ACCEPTED if state is DeliveryState.DELIVERED else Outcome.REFUSED
    for delivery in outbox.claim(conn, now, timedelta(minutes=1), slots={receiver: 10}):
        attempt = outbox.start_attempt(conn, delivery, now)
        receipt = Receipt(outcome=outcome, detail="said so")
        outbox.finish_attempt(conn, attempt, receipt, Verdict(state=state), now)


@pytest.fixture
def broker(storage: Storage) -> Broker:
    """Everything between an alert and the outbox."""
    return Broker(storage)


async def test_an_unacknowledged_page_reaches_every_tier(episodes: Episodes, broker: Broker) -> None:
    """At once the team, after 15 minutes the lead, after an hour the director, each once."""
    await episodes.fire(START)
    for minutes in range(65):
        await broker.at(minutes)
        await broker.answer(minutes, oncall=DeliveryState.DELIVERED, leads=DeliveryState.DELIVERED)

    assert await broker.pages() == [
        ("oncall", "episode-1:t0:r0"),
        ("leads", "episode-1:t1:r0"),
        ("director", "episode-1:t2:r0"),
    ]


async def test_the_module_asks_to_be_called_when_the_next_tier_is_due(
    episodes: Episodes, broker: Broker
) -> None:
    """Nothing ticks: the instants are those of the matrix."""
    await episodes.fire(START)
    assert await broker.at(0) == after(1)
    await broker.answer(0.5, oncall=DeliveryState.DELIVERED)
    assert await broker.at(1) == after(15)
    assert await broker.at(15) == after(16)
    await broker.answer(15.5, leads=DeliveryState.DELIVERED)
    assert await broker.at(16) == after(60)


async def test_the_first_tier_hears_of_it_in_all_its_ways(episodes: Episodes, broker: Broker) -> None:
    """A P1 pages and posts, in one transaction with the timeline's entry."""
    await episodes.fire(START)
    await broker.at(0)

    sent = await broker.sent()
    assert [delivery.receiver for delivery in sent] == ["oncall", "headless"]
    assert {delivery.dedup_key for delivery in sent} == {"test:episode-1:t0:r0"}
    assert {(delivery.episode_id, delivery.incident) for delivery in sent} == {("episode-1", 1)}
    assert await broker.told(EntryKind.PAGED) == ["@backend-team paged by oncall and told by headless"]


async def test_later_tiers_are_told_why(episodes: Episodes, broker: Broker) -> None:
    """The page and the timeline say what made them go out."""
    await episodes.fire(START)
    await broker.at(0)
    await broker.answer(0, oncall=DeliveryState.DELIVERED)
    await broker.at(15)

    assert await broker.told(EntryKind.ESCALATED) == [
        "@platform-lead paged by leads and told by headless: not resolved within 15 minutes"
    ]
    [message] = [sent.message for sent in await broker.sent() if sent.receiver == "leads"]
    assert ("Escalated", "to @platform-lead: not resolved within 15 minutes") in message.summary


async def test_an_acknowledged_p1_still_reaches_the_next_tier(
    storage: Storage, episodes: Episodes, broker: Broker
) -> None:
    """An answer is not an end."""
    await episodes.fire(START)
    await broker.at(0)
    await broker.answer(0, oncall=DeliveryState.DELIVERED)
    alert = alert_id_of("availability-slo-breach")
    await Acknowledgements(storage, DESK, on_change=silent).acknowledge_alert(alert, by="ada", now=after(3))
    await broker.at(15)
    assert [receiver for receiver, _ in await broker.pages()] == ["oncall", "leads"]


async def test_a_mitigated_incident_reaches_nobody_more(
    storage: Storage, episodes: Episodes, broker: Broker
) -> None:
    """A verified repair lets the lead sleep."""
    episode = await episodes.fire(START)
    await broker.at(0)
    await broker.answer(0, oncall=DeliveryState.DELIVERED)
    await storage.write(
        lambda conn: incident_store.mitigate(conn, 1, at=after(9), author="kokino", text="Verified")
    )
    assert await broker.at(15) is None
    await broker.at(70)

    assert [receiver for receiver, _ in await broker.pages()] == ["oncall"]
    assert (await broker.escalation(episode)).state is EscalationState.STOPPED


async def test_an_incident_that_is_opened_again_is_told_again(
    storage: Storage, episodes: Episodes, broker: Broker
) -> None:
    """In a new round: a receiver that has acknowledged the first key would stay silent."""
    await episodes.fire(START)
    await broker.at(0)
    await broker.answer(0, oncall=DeliveryState.DELIVERED)
    await storage.write(lambda conn: incident_store.mitigate(conn, 1, at=after(5), author="ada", text="Ok"))
    await broker.at(5)
    await storage.write(lambda conn: incident_store.reopen(conn, 1, at=after(9), author="ada", text="No"))
    await broker.at(9)
    assert await broker.pages() == [("oncall", "episode-1:t0:r0"), ("oncall", "episode-1:t0:r1")]


async def test_an_expired_acknowledgement_pages_in_a_new_round(
    storage: Storage, episodes: Episodes, broker: Broker
) -> None:
    """Whoever answered and fell silent is woken again after 30 minutes."""
    await episodes.fire(START)
    await broker.at(0)
    await broker.answer(0, oncall=DeliveryState.DELIVERED)
    await Acknowledgements(storage, DESK, on_change=silent).acknowledge_incident(1, by="ada", now=after(14))
    await broker.at(15)
    await broker.answer(15, leads=DeliveryState.DELIVERED)
    assert await broker.at(16) == after(44)
    await broker.at(44)
    await broker.at(45)
    assert (await broker.pages())[1:] == [("leads", "episode-1:t1:r0"), ("leads", "episode-1:t1:r1")]


async def test_an_acknowledgement_is_told_to_whoever_was_told(
    storage: Storage, episodes: Episodes, broker: Broker
) -> None:
    """Each page is acknowledged under its key, the channel hears it once, the timeline knows by whom."""
    await episodes.fire(START)
    await broker.at(0)
    await broker.answer(0, oncall=DeliveryState.DELIVERED)
    await broker.at(15)
    await Acknowledgements(storage, DESK, on_change=silent).acknowledge_incident(1, by="ada", now=after(20))

    heard = [sent for sent in await broker.sent() if sent.action is Action.ACKNOWLEDGE]
    assert [(sent.receiver, sent.dedup_key[-6:]) for sent in heard] == [
        ("oncall", ":t0:r0"),
        ("leads", ":t1:r0"),
        ("headless", ":t1:r0"),
    ]
    assert heard[0].message.summary[0] == ("Acknowledged", "by ada, for 30 minutes")
    assert await broker.told(EntryKind.ACKNOWLEDGED) == ["Acknowledged, for 30 minutes"]


async def test_what_does_not_fire_cannot_be_acknowledged(
    storage: Storage, episodes: Episodes, broker: Broker
) -> None:
    """Unknown and over are told apart."""
    episode = await episodes.fire(START)
    await broker.at(0)
    await episodes.resolve(episode, after(1))
    acknowledgements = Acknowledgements(storage, DESK, on_change=silent)
    with pytest.raises(NotFound, match="there is no alert 'nonsense'"):
        await acknowledgements.acknowledge_alert("nonsense", by="ada", now=after(2))
    with pytest.raises(Conflict, match=r"is resolved since .*: there is nothing to acknowledge"):
        await acknowledgements.acknowledge_alert(
            alert_id_of("availability-slo-breach"), by="ada", now=after(2)
        )
    with pytest.raises(Conflict, match="none of the alerts of INC-1 fires"):
        await acknowledgements.acknowledge_incident(1, by="ada", now=after(2))


async def test_the_end_takes_back_every_page(episodes: Episodes, broker: Broker) -> None:
    """Each key that was triggered is resolved at its receiver; the channel reads once that it is over."""
    episode = await episodes.fire(START)
    await broker.at(0)
    await broker.answer(0, oncall=DeliveryState.DELIVERED)
    await broker.at(15)
    await episodes.resolve(episode, after(23))
    assert await broker.at(23) is None
    await broker.at(24)

    resolved = [sent for sent in await broker.sent() if sent.action is Action.RESOLVE]
    assert [(sent.receiver, sent.dedup_key[-6:]) for sent in resolved] == [
        ("oncall", ":t0:r0"),
        ("leads", ":t1:r0"),
        ("headless", ":t1:r0"),
    ]
    assert resolved[0].message.summary[0] == (
        "Resolved",
        "after 23 minutes: recovered: 12 of 12 executions over 5 min succeeded",
    )
    assert (await broker.escalation(episode)).state is EscalationState.FINISHED


async def test_firing_again_at_once_is_an_escalation_of_its_own(episodes: Episodes, broker: Broker) -> None:
    """The old pages are taken back and new ones go out, also when nobody saw the time between."""
    first = await episodes.fire(START)
    await broker.at(0)
    await episodes.resolve(first, after(5))
    await episodes.fire(after(6))
    await broker.at(6)

    keys = [(sent.action, sent.dedup_key) for sent in await broker.sent() if sent.receiver == "oncall"]
    assert Counter(keys) == {
        (Action.TRIGGER, "test:episode-1:t0:r0"): 1,
        (Action.RESOLVE, "test:episode-1:t0:r0"): 1,
        (Action.TRIGGER, "test:episode-2:t0:r0"): 1,
    }


async def test_a_page_that_nobody_takes_goes_one_tier_ahead(episodes: Episodes, broker: Broker) -> None:
    """The channel has it but the pager is down: after 60 seconds the lead is paged, the director is not."""
    await episodes.fire(START)
    await broker.at(0)
    await broker.answer(0.2, headless=DeliveryState.DELIVERED)
    await broker.at(1)
    await broker.at(3)
    assert [receiver for receiver, _ in await broker.pages()] == ["oncall", "leads"]
    assert "no receiver accepted the page within 60 s" in (await broker.told(EntryKind.ESCALATED))[0]


async def test_the_probable_cause_is_posted_once(
    storage: Storage, episodes: Episodes, broker: Broker
) -> None:
    """Found after the page, and after other news, it is news for those who read; nobody is woken for it."""
    await episodes.fire(START)
    await broker.at(0)
    await episodes.fire(after(0.1), labels={"agent": "b"})
    for minutes in (0.1, 0.5):
        await broker.at(minutes)
    cause = Pattern(pattern="single-cli", cause="the login of claude-code has expired")
    await storage.write(
        lambda conn: incident_store.append(
            conn,
            1,
            at=after(1),
            kind=EntryKind.PATTERN,
            author="kokino",
            text="Recognised",
            data=cause.to_data(),
        )
    )
    await broker.at(1)
    await broker.at(2)

    updates = [sent for sent in await broker.sent() if sent.action is Action.UPDATE]
    assert [sent.receiver for sent in updates] == ["headless", "headless"]
    causes = [sent.message.probable_cause for sent in updates]
    assert causes == [None, "the login of claude-code has expired"]


async def test_without_receivers_the_log_hears_it(storage: Storage, episodes: Episodes) -> None:
    """The default works with nothing set up, and goes through the same tiers."""
    desk = Desk(
        rules=RULES,
        policies=packaged(),
        routing=Routing(receivers={}, owners={}),
        installation="test",
        public_url="http://127.0.0.1:5050",
    )
    broker = Broker(storage, desk)
    await episodes.fire(START)
    assert await broker.at(0) == after(15)
    await broker.at(15)
    assert [sent.receiver for sent in await broker.sent()] == ["log", "log"]


async def test_a_p3_is_told_without_an_incident(episodes: Episodes, broker: Broker) -> None:
    """It posts to its owner, pages nobody, and waits."""
    await episodes.fire(START, rule_id="lock-timeout")
    assert await broker.at(0) is None
    [sent] = await broker.sent()
    assert (sent.receiver, sent.incident) == ("headless", None)


async def test_a_person_may_escalate_early(storage: Storage, episodes: Episodes, broker: Broker) -> None:
    """The next tier hears of it now, and why; after the last there is nobody left."""
    await episodes.fire(START)
    await broker.at(0)
    await broker.answer(0, oncall=DeliveryState.DELIVERED)
    escalations = Escalations(storage, DESK, on_change=silent)
    await escalations.escalate(1, reason="ada: the database is gone", now=after(2))
    await escalations.escalate(1, reason="ada: and the backup", now=after(3))
    assert [receiver for receiver, _ in await broker.pages()] == ["oncall", "leads", "director"]
    assert (await broker.told(EntryKind.ESCALATED))[0].endswith(": ada: the database is gone")
    with pytest.raises(Conflict, match="INC-1 has nobody left to be told"):
        await escalations.escalate(1, reason="ada: help", now=after(4))


async def test_what_a_rule_began_that_is_gone_is_finished(
    storage: Storage, episodes: Episodes, broker: Broker
) -> None:
    """The pages are taken back as grave as they were, though nobody knows the rule's title any more."""
    episode = await episodes.fire(START)
    await broker.at(0)
    await broker.answer(0, oncall=DeliveryState.DELIVERED)
    await AlertRules(storage, SequentialIds(), (), defaults(), knows_running=users_running).run(after(3))
    without = Broker(storage, replace(DESK, rules={}))
    assert await without.at(3) is None

    resolved = [sent for sent in await broker.sent() if sent.action is Action.RESOLVE]
    assert [sent.receiver for sent in resolved] == ["oncall", "headless"]
    message = resolved[0].message
    assert (message.severity, message.title) == ("P1", "availability-slo-breach")
    assert message.summary[0] == ("Resolved", "after 3 minutes: its rule is gone")
    assert (await broker.escalation(episode)).state is EscalationState.FINISHED


async def test_an_alert_that_cannot_be_told_keeps_no_other_from_being_told(
    storage: Storage, episodes: Episodes
) -> None:
    """The page after it goes out, and the module's health tells of the one."""
    rules = {**RULES, "lock-timeout": FakeRule(title="Lock Timeout", severity="P?", owner="@backend-team")}
    broker = Broker(storage, replace(DESK, rules=rules))
    await episodes.fire(START, rule_id="lock-timeout")
    await episodes.fire(START)
    with pytest.raises(Faults, match="episode-1: ValueError: 'P\\?' is not a valid Severity"):
        await broker.at(0)
    assert await broker.pages() == [("oncall", "episode-2:t0:r0")]


async def test_a_persons_word_rings_the_bell(storage: Storage, episodes: Episodes, broker: Broker) -> None:
    """Messages are on their way; what is refused wakes nobody."""
    rung: list[str] = []
    acknowledgements = Acknowledgements(storage, DESK, on_change=lambda: rung.append("acknowledged"))
    escalations = Escalations(storage, DESK, on_change=lambda: rung.append("escalated"))
    await episodes.fire(START)
    await broker.at(0)
    alert = alert_id_of("availability-slo-breach")
    await acknowledgements.acknowledge_alert(alert, by="ada", now=after(1))
    await acknowledgements.acknowledge_incident(1, by="ada", now=after(2))
    await escalations.escalate(1, reason="ada: help", now=after(3))
    assert rung == ["acknowledged", "acknowledged", "escalated"]
    with pytest.raises(NotFound):
        await acknowledgements.acknowledge_incident(9, by="ada", now=after(4))
    with pytest.raises(NotFound):
        await escalations.escalate(9, reason="ada: help", now=after(4))
    assert len(rung) == 3
