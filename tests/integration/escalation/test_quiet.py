"""Alerts that tell nobody for a while, and alerts that are told of together, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from kokino.alerts import silence_store
from kokino.alerts import store as alert_store
from kokino.alerts.matcher import Matcher
from kokino.alerts.rule import Inhibits
from kokino.alerts.silence import Silence
from kokino.escalation.model import EscalationState
from kokino.escalation.module import Escalations
from kokino.escalation.policy import Tier, packaged
from kokino.escalation.silences import Silences
from kokino.incidents import store as incident_store
from kokino.incidents.model import EntryKind
from kokino.notify.model import Action, DeliveryState
from kokino.storage import Storage
from tests.fixtures.episodes import RULES, Episodes, alert_id_of
from tests.integration.escalation.test_escalations import DESK, START, Broker, after, silent

P1 = "availability-slo-breach"
BREAKER = "circuit-breaker-opened"
SYMPTOM = Inhibits(rule=BREAKER, linger=timedelta(minutes=15))
QUIETING = replace(DESK, rules={**RULES, P1: replace(RULES[P1], inhibits=(SYMPTOM,))})


class Quieted(Broker):
    """A broker in which an outage keeps circuit breakers quiet, and people make silences."""

    async def silence(
        self,
        minutes: float,
        *,
        until: float,
        until_resolved: bool = False,
        name: str = "rule",
        value: str = P1,
    ) -> None:
        """Silence the alerts with a label's value; the rule's name is one, too."""
        silence = Silence(
            silence_id=f"silence-{minutes}",
            matchers=(Matcher(name=name, value=value),),
            comment="a load test",
            created_by="ada",
            created_at=after(minutes),
            ends_at=after(until),
            until_resolved=until_resolved,
        )
        await self.storage.write(lambda conn: silence_store.add(conn, silence))

    async def keep_silences(self, minutes: float) -> datetime | None:
        """Run the module that looks after silences."""
        return await Silences(self.storage, self.desk).run(after(minutes))

    async def triggers(self) -> list[str]:
        """The dedup keys of what told somebody of something new, each once."""
        keys = [sent.dedup_key for sent in await self.sent() if sent.action is Action.TRIGGER]
        return list(dict.fromkeys(keys))

    async def lines(self, label: str) -> list[str]:
        """What messages say under a label."""
        return [text for sent in await self.sent() for name, text in sent.message.summary if name == label]


@pytest.fixture
def broker(storage: Storage) -> Quieted:
    """Everything between an alert and the outbox."""
    return Quieted(storage, QUIETING)


async def test_a_silenced_alert_tells_nobody_until_its_silence_ends(
    episodes: Episodes, broker: Quieted
) -> None:
    """Then the first tier hears of it, and the next one 15 minutes after that."""
    await broker.silence(0, until=60)
    episode = await episodes.fire(after(1))
    assert await broker.at(1) == after(60)
    assert (await broker.triggers(), (await broker.escalation(episode)).state) == ([], EscalationState.QUIET)
    assert "silenced by ada until" in (await broker.escalation(episode)).reason

    await broker.at(60)
    assert await broker.pages() == [("oncall", f"{episode}:t0:r0")]
    await broker.answer(60, oncall=DeliveryState.DELIVERED)
    await broker.at(74)
    assert len(await broker.pages()) == 1
    await broker.at(75)
    assert await broker.pages() == [("oncall", f"{episode}:t0:r0"), ("leads", f"{episode}:t1:r0")]


async def test_a_silence_that_comes_later_holds_the_next_tier_and_tells_again_at_its_end(
    episodes: Episodes, broker: Quieted
) -> None:
    """Whoever was told before hears that it still fires."""
    episode = await episodes.fire(START)
    await broker.at(0)
    await broker.answer(0.1, oncall=DeliveryState.DELIVERED)
    await broker.silence(5, until=60)
    await broker.at(20)
    assert len(await broker.pages()) == 1
    await broker.at(60)
    assert await broker.pages() == [("oncall", f"{episode}:t0:r0"), ("oncall", f"{episode}:t0:r1")]


async def test_the_end_of_a_silence_pages_nobody_who_looks_after_a_p1(
    episodes: Episodes, broker: Quieted, storage: Storage
) -> None:
    """The next tier hears of it 15 minutes after the silence, as the matrix says."""
    episode = await episodes.fire(START)
    await broker.at(0)
    await broker.answer(0.1, oncall=DeliveryState.DELIVERED)
    await storage.write(
        lambda conn: alert_store.acknowledge(conn, alert_id_of(P1), by="ada", at=after(1), ends_at=after(31))
    )
    await broker.silence(2, until=10)
    await broker.at(2)
    assert await broker.at(10) == after(25)
    assert (await broker.escalation(episode)).state is EscalationState.ACTIVE
    for minutes in (10, 24):
        await broker.at(minutes)
    assert await broker.pages() == [("oncall", f"{episode}:t0:r0")]
    await broker.at(25)
    assert (await broker.pages())[1:] == [("leads", f"{episode}:t1:r0")]


async def test_an_alert_that_ends_in_silence_was_never_told_of(episodes: Episodes, broker: Quieted) -> None:
    """Nothing is taken back from people who never heard of it."""
    await broker.silence(0, until=60)
    episode = await episodes.fire(after(1))
    await broker.at(1)
    await episodes.resolve(episode, after(5))
    assert await broker.at(5) is None
    assert await broker.sent() == []
    assert (await broker.escalation(episode)).state is EscalationState.FINISHED


async def test_people_hear_before_a_silence_ends(episodes: Episodes, broker: Quieted) -> None:
    """Once, in the posts; nobody is paged for it."""
    await episodes.fire(START)
    await broker.at(0)
    await broker.silence(5, until=65)
    assert await broker.keep_silences(5) == after(59)
    for minutes in (59, 60):
        await broker.keep_silences(minutes)
    said = await broker.lines("Silence")
    assert said == ["by ada ends at 2026-01-05 10:05:00 UTC: a load test"]


async def test_nobody_hears_that_a_silence_ends_while_a_longer_one_goes_on(
    episodes: Episodes, broker: Quieted
) -> None:
    """It would not be true."""
    await episodes.fire(START)
    await broker.at(0)
    await broker.silence(5, until=65)
    await broker.silence(6, until=600)
    await broker.keep_silences(59)
    assert await broker.lines("Silence") == []


async def test_of_alerts_that_are_told_of_together_the_end_of_a_silence_is_told_once(
    episodes: Episodes, broker: Quieted
) -> None:
    """In the thread of the first."""
    await both(episodes, broker)
    await broker.silence(5, until=65, value=BREAKER)
    await broker.keep_silences(59)
    assert len(await broker.lines("Silence")) == 1


async def test_a_silence_until_resolved_ends_with_its_alert(
    episodes: Episodes, broker: Quieted, storage: Storage
) -> None:
    """The next episode is told of at once."""
    await broker.silence(0, until=600, until_resolved=True)
    episode = await episodes.fire(START)
    await broker.at(0)
    await broker.keep_silences(0)
    await episodes.resolve(episode, after(5))
    await broker.keep_silences(5)
    assert await storage.read(lambda conn: silence_store.active(conn, now=after(5))) == []
    again = await episodes.fire(after(6))
    await broker.at(6)
    assert await broker.pages() == [("oncall", f"{again}:t0:r0")]


async def test_a_symptom_tells_nobody_while_its_cause_fires_and_opens_no_incident(
    episodes: Episodes, broker: Quieted, storage: Storage
) -> None:
    """One outage, one page, one incident."""
    outage = await episodes.fire(START)
    symptom = await episodes.fire(after(1), rule_id=BREAKER, labels={"agent": "a"})
    await broker.at(1)
    assert await broker.triggers() == [f"test:{outage}:t0:r0"]
    assert (await broker.escalation(symptom)).incident is None
    assert "inhibited by availability-slo-breach" in (await broker.escalation(symptom)).reason

    await episodes.resolve(symptom, after(3))
    await broker.at(3)
    assert (await broker.escalation(symptom)).state is EscalationState.FINISHED


async def test_a_symptom_that_outlives_its_cause_is_told_of_a_while_after(
    episodes: Episodes, broker: Quieted
) -> None:
    """With an incident of its own then."""
    outage = await episodes.fire(START)
    symptom = await episodes.fire(after(1), rule_id=BREAKER, labels={"agent": "a"})
    await broker.at(1)
    await episodes.resolve(outage, after(10))
    assert await broker.at(10) == after(25)
    assert f"test:{symptom}:t0:r0" not in await broker.triggers()
    await broker.at(25)
    assert f"test:{symptom}:t0:r0" in await broker.triggers()
    assert (await broker.escalation(symptom)).incident == 2


async def test_alerts_of_one_rule_that_come_together_are_told_of_together(
    episodes: Episodes, broker: Quieted
) -> None:
    """One message for the first, one for all that join it meanwhile, one end when all are over."""
    first = await episodes.fire(START, rule_id=BREAKER, labels={"agent": "a"})
    await broker.at(0)
    others = [await episodes.fire(after(2), rule_id=BREAKER, labels={"agent": name}) for name in ("b", "c")]
    await broker.at(2)
    assert await broker.triggers() == [f"test:{first}:t0:r0"]
    both = "Circuit Breaker Opened (agent b); Circuit Breaker Opened (agent c)"
    assert await broker.lines("Also firing") == [both]
    assert {(await broker.escalation(one)).joined_to for one in others} == {first}

    await episodes.resolve(first, after(3))
    await broker.at(3)
    assert not [sent for sent in await broker.sent() if sent.action is Action.RESOLVE]
    await broker.at(16)
    assert await broker.triggers() == [f"test:{first}:t0:r0", f"test:{first}:t1:r0"]
    assert await broker.lines("Also firing") == [both, both]

    for one in others:
        await episodes.resolve(one, after(20))
    await broker.at(20)
    assert {(await broker.escalation(one)).state for one in (first, *others)} == {EscalationState.FINISHED}
    assert any("and 2 more with it" in said for said in await broker.lines("Resolved"))


async def test_a_storm_is_told_of_in_one_short_message_after_the_first(
    episodes: Episodes, broker: Quieted
) -> None:
    """People hear of the first at once, and half a minute later of how many there are."""
    await episodes.fire(START, rule_id=BREAKER, labels={"agent": "a0"})
    await broker.at(0)
    for number in range(1, 41):
        await episodes.fire(after(0.1), rule_id=BREAKER, labels={"agent": f"a{number}"})
    assert await broker.at(0.2) == after(0.5)
    assert await broker.lines("Also firing") == []
    for minutes in (0.5, 0.6, 1.1):
        await broker.at(minutes)
    [said] = await broker.lines("Also firing")
    assert said.startswith("Circuit Breaker Opened (agent a")
    assert (len(said) < 450, said.endswith(" more"), said.count("Opened") + int(said.split()[-2])) == (
        True,
        True,
        40,
    )


async def test_what_a_later_tier_hears_of_is_not_told_again(episodes: Episodes, broker: Quieted) -> None:
    """A page names all that fire."""
    first = await episodes.fire(START, rule_id=BREAKER, labels={"agent": "a"})
    await broker.at(0)
    await episodes.fire(after(4), rule_id=BREAKER, labels={"agent": "b"})
    await broker.silence(4, until=5, value=BREAKER)
    for minutes in (4, 5, 15, 16):
        await broker.at(minutes)
    assert await broker.triggers() == [f"test:{first}:t0:r0", f"test:{first}:t0:r1"]
    assert await broker.lines("Also firing") == ["Circuit Breaker Opened (agent b)"]


async def test_an_alert_of_the_same_rule_that_comes_later_is_told_of_by_itself(
    episodes: Episodes, broker: Quieted
) -> None:
    """After five minutes it is news."""
    first = await episodes.fire(START, rule_id=BREAKER, labels={"agent": "a"})
    await broker.at(0)
    second = await episodes.fire(after(6), rule_id=BREAKER, labels={"agent": "b"})
    await broker.at(6)
    assert await broker.triggers() == [f"test:{first}:t0:r0", f"test:{second}:t0:r0"]


async def both(episodes: Episodes, broker: Quieted) -> tuple[str, str]:
    """Two breakers that opened together and were told of together."""
    first = await episodes.fire(START, rule_id=BREAKER, labels={"agent": "a"})
    await broker.at(0)
    second = await episodes.fire(after(1), rule_id=BREAKER, labels={"agent": "b"})
    await broker.at(1)
    return first, second


async def test_what_a_playbook_hands_over_for_one_that_joined_reaches_people(
    episodes: Episodes, broker: Quieted, storage: Storage
) -> None:
    """By the messages that tell of it."""
    first, second = await both(episodes, broker)
    incident = (await broker.escalation(second)).incident
    assert incident == 2
    text = "The playbook can do no more: nothing fits."
    await storage.write(
        lambda conn: incident_store.append(
            conn, incident, at=after(2), kind=EntryKind.HANDED_OVER, author="kokino", text=text
        )
    )
    await broker.at(2)
    assert await broker.triggers() == [f"test:{first}:t0:r0", f"test:{first}:t1:r0"]
    assert f"to @platform-lead: {text}" in await broker.lines("Escalated")
    count = len(await broker.sent())
    await broker.at(3)
    assert len(await broker.sent()) == count


async def test_a_hand_over_for_one_that_fired_twice_is_told_once(
    episodes: Episodes, broker: Quieted, storage: Storage
) -> None:
    """Both of its episodes belong to one incident and are told of by the same messages."""
    first, second = await both(episodes, broker)
    await episodes.resolve(second, after(2))
    again = await episodes.fire(after(2), rule_id=BREAKER, labels={"agent": "b"})
    await broker.at(2)
    assert {(await broker.escalation(one)).joined_to for one in (second, again)} == {first}
    assert {(await broker.escalation(one)).incident for one in (second, again)} == {2}
    await storage.write(
        lambda conn: incident_store.append(
            conn, 2, at=after(3), kind=EntryKind.HANDED_OVER, author="kokino", text="Nothing fits."
        )
    )
    await broker.at(3)
    assert await broker.triggers() == [f"test:{first}:t0:r0", f"test:{first}:t1:r0"]


async def test_a_person_who_escalates_what_is_told_of_together_wakes_one_tier(
    episodes: Episodes, broker: Quieted, storage: Storage
) -> None:
    """Both episodes of one incident are led by a third: its next tier hears of it, nobody after."""
    _, second = await both(episodes, broker)
    await episodes.resolve(second, after(2))
    await episodes.fire(after(2), rule_id=BREAKER, labels={"agent": "b"})
    await broker.at(2)
    tiers = (*packaged().chains[BREAKER], Tier(owner="@eng-director", after=timedelta(hours=1)))
    policies = replace(packaged(), chains={**packaged().chains, BREAKER: tiers})
    escalations = Escalations(storage, replace(QUIETING, policies=policies), on_change=silent)
    await escalations.escalate(2, reason="ada: help", now=after(3))
    assert [key.rpartition(":t")[2] for key in await broker.triggers()] == ["0:r0", "1:r0"]
    told = [sent.message.summary for sent in await broker.sent() if sent.action is Action.TRIGGER][-1]
    assert ("Also firing", "Circuit Breaker Opened (agent b)") in told


async def test_what_follows_a_page_carries_its_lines_and_since_when_it_fires(
    episodes: Episodes, broker: Quieted
) -> None:
    """For a receiver that keeps the latest message alone."""
    await broker.silence(0, until=60)
    await episodes.fire(START)
    await broker.at(0)
    await broker.at(60)
    await broker.silence(61, until=125)
    await broker.keep_silences(119)
    sent = await broker.sent()
    [news] = [one.message for one in sent if one.action is Action.UPDATE]
    [page, *_] = [one.message for one in sent if one.action is Action.TRIGGER]
    assert news.follows == page.summary
    assert {label for label, _ in news.follows} >= {"Current", "Error budget"}
    assert (page.firing_at, news.firing_at) == (START, START)


async def test_a_repair_for_one_stops_nothing_for_the_others(
    episodes: Episodes, broker: Quieted, storage: Storage
) -> None:
    """The next tier hears of the one that is still open."""
    first, _ = await both(episodes, broker)
    await storage.write(
        lambda conn: incident_store.mitigate(conn, 1, at=after(2), author="ada", text="restarted")
    )
    for minutes in (2, 15):
        await broker.at(minutes)
    assert await broker.triggers() == [f"test:{first}:t0:r0", f"test:{first}:t1:r0"]


@pytest.mark.parametrize(("looked_after", "is_held"), [(["a"], False), (["b"], False), (["a", "b"], True)])
async def test_a_group_is_held_once_somebody_looks_after_each(
    episodes: Episodes, broker: Quieted, storage: Storage, *, looked_after: list[str], is_held: bool
) -> None:
    """Whoever took one of them has not taken the other."""
    first, _ = await both(episodes, broker)
    for agent in looked_after:
        alert_id = alert_id_of(BREAKER, {"agent": agent})
        await storage.write(
            lambda conn, alert_id=alert_id: alert_store.acknowledge(  # type: ignore[misc]
                conn, alert_id, by="ada", at=after(2), ends_at=after(482)
            )
        )
    for minutes in (2, 15):
        await broker.at(minutes)
    assert (f"test:{first}:t1:r0" not in await broker.triggers()) is is_held


async def test_what_was_silenced_together_is_told_of_together(episodes: Episodes, broker: Quieted) -> None:
    """The end of a silence is no storm."""
    await broker.silence(0, until=60, value=BREAKER)
    episodes_of = [await episodes.fire(after(1), rule_id=BREAKER, labels={"agent": name}) for name in "abcde"]
    await broker.at(1)
    await broker.at(60)
    assert len(await broker.triggers()) == 1
    states = [(await broker.escalation(one)).state for one in episodes_of]
    assert states.count(EscalationState.JOINED) == 4
    assert await broker.lines("Also firing") == []
    await broker.at(60.5)
    [said] = await broker.lines("Also firing")
    assert said.count("Circuit Breaker Opened") == 4


async def test_a_silence_that_ends_does_not_wake_whoever_looks_after_it(
    episodes: Episodes, broker: Quieted, storage: Storage
) -> None:
    """An acknowledgement of a P2 holds beyond it."""
    episode = await episodes.fire(START, rule_id=BREAKER, labels={"agent": "a"})
    await broker.at(0)
    await storage.write(
        lambda conn: alert_store.acknowledge(
            conn, alert_id_of(BREAKER, {"agent": "a"}), by="ada", at=after(1), ends_at=after(480)
        )
    )
    await broker.silence(2, until=30, value=BREAKER)
    for minutes in (2, 30, 31):
        await broker.at(minutes)
    assert await broker.triggers() == [f"test:{episode}:t0:r0"]
    assert (await broker.escalation(episode)).state is EscalationState.HELD


async def test_a_rule_that_disturbs_nobody_any_more_takes_back_what_it_told(
    episodes: Episodes, broker: Quieted, storage: Storage
) -> None:
    """Its severity was changed to none while it fired."""
    episode = await episodes.fire(START)
    await broker.at(0)
    quiet = replace(QUIETING, rules={**QUIETING.rules, P1: replace(RULES[P1], severity="none")})
    changed = Quieted(storage, quiet)
    await changed.at(1)
    await episodes.resolve(episode, after(2))
    await changed.at(2)
    assert (await broker.escalation(episode)).state is EscalationState.FINISHED
    assert {sent.receiver for sent in await broker.sent() if sent.action is Action.RESOLVE} == {
        "oncall",
        "headless",
    }


async def test_an_incident_of_one_that_joined_says_so(
    episodes: Episodes, broker: Quieted, storage: Storage
) -> None:
    """Whoever reads only this incident finds out who was told, be it with news or with a page."""
    await episodes.fire(START, rule_id=BREAKER, labels={"agent": "a"})
    await broker.at(0)
    for incident, minutes in ((2, 1), (3, 1.2)):
        await episodes.fire(after(minutes), rule_id=BREAKER, labels={"agent": f"b{incident}"})
        await broker.at(minutes)
    await storage.write(
        lambda conn: incident_store.append(
            conn, 1, at=after(1.3), kind=EntryKind.HANDED_OVER, author="kokino", text="Nothing fits."
        )
    )
    for minutes in (1.3, 3):
        await broker.at(minutes)
    said = "Told of together with Circuit Breaker Opened (agent a)"
    assert [await broker.told(EntryKind.PAGED, incident=incident) for incident in (2, 3)] == [[said], [said]]


async def test_what_is_silenced_before_it_is_told_of_waits_for_the_end_of_its_silence(
    episodes: Episodes, broker: Quieted
) -> None:
    """Neither the news of those that joined nor a later tier's page names it."""
    await episodes.fire(START, rule_id=BREAKER, labels={"agent": "a"})
    await broker.at(0)
    for agent in "bc":
        await episodes.fire(after(0.1), rule_id=BREAKER, labels={"agent": agent})
    await broker.at(0.1)
    await broker.silence(0.2, until=30, name="agent", value="c")
    for minutes in (0.5, 15):
        await broker.at(minutes)
    named = "Circuit Breaker Opened (agent b)"
    assert await broker.lines("Also firing") == [named, named]
    assert await broker.at(16) == after(30)
    await broker.at(30)
    assert set((await broker.lines("Also firing"))[2:]) == {"Circuit Breaker Opened (agent c)"}
