"""The engine's module for alerts, on both databases, in virtual time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from kokino.alerts import episode_store, store
from kokino.alerts.model import Alert, Phase
from kokino.alerts.module import AlertRules
from kokino.alerts.rule import AlertRule
from kokino.alerts.rulefile import packaged_rule
from kokino.barrier import Faults
from kokino.errors import Conflict, NotFound
from kokino.executions.store import users_running
from kokino.ids import RandomIds
from kokino.slo.defaults import defaults
from kokino.storage import Storage, open_storage
from kokino.telemetry import latest_store
from kokino.telemetry import store as telemetry
from kokino.telemetry.model import END_TYPES, Event, EventType
from kokino.testing.ids import SequentialIds

T = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
RULE = packaged_rule("availability-slo-breach")


def ended(at: datetime, *, good: bool = False, label: str | None = None) -> Event:
    """An execution that ended."""
    return Event(
        type=END_TYPES["completed" if good else "failed"],
        at=at,
        agent_id="a",
        cli_type="claude-code",
        label=label,
    )


class Broker:
    """The module with its database, and the few things that a test does with them."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.module = AlertRules(storage, SequentialIds(), (RULE,), defaults(), knows_running=users_running)

    async def happen(self, *events: Event) -> None:
        """These executions end, without a look at the rules."""
        await self.storage.write(lambda conn: [telemetry.append(conn, event) for event in events])

    async def alert(self) -> Alert:
        """The only alert that there is."""
        [found] = await self.storage.read(store.listed)
        return found

    async def outage(self, at: datetime = T) -> datetime | None:
        """Two failures at one instant, seen at once."""
        await self.happen(ended(at), ended(at))
        return await self.module.run(at)


@pytest.fixture
async def broker(storage: Storage) -> Broker:
    """A broker's alerts that looked once while nothing had happened."""
    made = Broker(storage)
    await made.module.run(T)
    return made


async def test_a_broker_without_executions_has_an_inactive_alert_and_nothing_due(broker: Broker) -> None:
    """Only an execution can change anything: the module asks for no tick."""
    assert (await broker.alert()).state is Phase.INACTIVE
    assert await broker.module.run(T + 60 * MINUTE) is None


async def test_an_outage_fires_at_once_with_all_that_a_page_needs(broker: Broker) -> None:
    """State, episode, reason and figures are stored together."""
    await broker.outage()
    alert = await broker.alert()
    assert (alert.state, alert.firing_at, alert.labels) == (Phase.FIRING, T, {"slo": "availability"})
    assert alert.episode_id is not None
    assert alert.measured["current"] == 0.0
    assert alert.measured["reason"].startswith(
        "availability 0.00 % over 1 h is under 99 % (2 of 2 executions"
    )
    [change] = await broker.storage.read(lambda conn: store.why(conn, alert.alert_id))
    assert (change.from_state, change.to_state, change.at) == (Phase.INACTIVE, Phase.FIRING, T)
    assert change.episode_id == alert.episode_id
    assert change.measured == alert.measured


async def test_one_failure_changes_nothing(broker: Broker) -> None:
    """It is no evidence, and time alone will not make it any."""
    await broker.happen(ended(T))
    assert await broker.module.run(T) is None
    assert (await broker.alert()).state is Phase.INACTIVE


async def test_looking_again_at_the_same_instant_changes_nothing(broker: Broker) -> None:
    """A cycle that ran twice pages once."""
    await broker.outage()
    before = await broker.alert()
    await broker.module.run(T)
    assert await broker.alert() == before
    assert len(await broker.storage.read(lambda conn: store.why(conn, before.alert_id))) == 1


async def test_a_restart_keeps_what_fires_and_does_not_fire_it_again(broker: Broker) -> None:
    """A new module on the same database goes on with the same episode."""
    await broker.outage()
    before = await broker.alert()
    reborn = AlertRules(broker.storage, SequentialIds(), (RULE,), defaults(), knows_running=users_running)
    await reborn.run(T + SECOND)
    assert (await broker.alert()).episode_id == before.episode_id
    assert len(await broker.storage.read(lambda conn: store.why(conn, before.alert_id))) == 1


async def test_it_asks_to_be_called_when_the_failures_leave_the_resolve_window(broker: Broker) -> None:
    """The instant at which recovery can first be seen, not a tick before it; and then it resolves."""
    assert await broker.outage() == T + 5 * MINUTE
    await broker.happen(*(ended(T + n * MINUTE, good=True) for n in (1, 2, 3)))
    assert await broker.module.run(T + 3 * MINUTE) == T + 5 * MINUTE
    await broker.module.run(T + 5 * MINUTE - timedelta(milliseconds=1))
    assert (await broker.alert()).state is Phase.FIRING
    assert await broker.module.run(T + 5 * MINUTE) is None
    alert = await broker.alert()
    assert (alert.state, alert.resolved_at, alert.windows_from) == (Phase.RESOLVED,) + (T + 5 * MINUTE,) * 2


async def test_it_stays_firing_in_silence(broker: Broker) -> None:
    """Nobody ran anything: that proves no recovery, and nothing is due until somebody does."""
    await broker.outage()
    assert await broker.module.run(T + 5 * MINUTE) is None
    assert await broker.module.run(T + timedelta(days=2)) is None
    assert (await broker.alert()).state is Phase.FIRING


async def test_three_good_probes_resolve_it(broker: Broker) -> None:
    """Probes prove recovery where users wait; they are in no SLO."""
    await broker.outage()
    at = T + 10 * MINUTE
    await broker.happen(*(ended(at, good=True, label="probe") for _ in range(3)))
    await broker.module.run(at)
    assert (await broker.alert()).state is Phase.RESOLVED


async def test_what_was_resolved_does_not_fire_again_but_a_new_outage_does(broker: Broker) -> None:
    """The windows start anew at the resolve, and the next episode is another."""
    await broker.outage()
    await broker.happen(*(ended(T + MINUTE, good=True) for _ in range(3)))
    await broker.module.run(T + 5 * MINUTE)
    first = await broker.alert()
    await broker.module.run(T + 6 * MINUTE)
    assert (await broker.alert()).state is Phase.RESOLVED
    await broker.outage(T + 7 * MINUTE)
    second = await broker.alert()
    assert second.state is Phase.FIRING
    assert second.episode_id != first.episode_id


async def test_good_executions_that_leave_the_window_can_make_it_fire(broker: Broker) -> None:
    """It asks to be called when the first of them leaves, for that can change the verdict with time alone."""
    await broker.happen(*(ended(T, good=True) for _ in range(45)))
    failures = T + 30 * MINUTE
    await broker.happen(*(ended(failures) for _ in range(3)))
    assert await broker.module.run(failures) == T + 60 * MINUTE
    await broker.module.run(T + 60 * MINUTE)
    assert (await broker.alert()).state is Phase.FIRING


async def test_an_acknowledgement_is_kept_and_ends_with_its_episode(broker: Broker) -> None:
    """Who and until when survive every later look."""
    await broker.outage()
    alert = await broker.alert()
    until = T + 30 * MINUTE
    await broker.storage.write(
        lambda conn: store.acknowledge(conn, alert.alert_id, by="ana", at=T + SECOND, ends_at=until)
    )
    await broker.happen(ended(T + MINUTE))
    await broker.module.run(T + MINUTE)
    seen = await broker.alert()
    assert (seen.acknowledged_by, seen.acknowledged_at, seen.acknowledgement_ends_at) == (
        "ana",
        T + SECOND,
        until,
    )


async def test_what_does_not_fire_cannot_be_acknowledged(broker: Broker) -> None:
    """The answer says in which state it is."""
    alert = await broker.alert()
    with pytest.raises(Conflict, match=r"is inactive since .*: there is nothing to acknowledge"):
        await broker.storage.write(
            lambda conn: store.acknowledge(conn, alert.alert_id, by="ana", at=T, ends_at=None)
        )
    with pytest.raises(NotFound, match="there is no alert 'alert-9'"):
        await broker.storage.read(lambda conn: store.get(conn, "alert-9"))


async def test_the_state_is_told_by_service_level(broker: Broker) -> None:
    """What the answer about SLOs shows beside its figures."""
    await broker.outage()
    assert await broker.storage.read(store.states_by_slo) == {"availability": "firing"}


async def test_alerts_are_listed_by_state(broker: Broker) -> None:
    """What fires, and what does not."""
    await broker.outage()
    assert len(await broker.storage.read(lambda conn: store.listed(conn, [Phase.FIRING]))) == 1
    assert await broker.storage.read(lambda conn: store.listed(conn, [Phase.INACTIVE, Phase.PENDING])) == []


async def test_a_killed_broker_finds_its_alert_firing(new_storage_url: str) -> None:
    """The database is opened anew; state, reason and acknowledgement are there."""
    first = await open_storage(new_storage_url)
    await Broker(first).outage()
    await first.close()
    second = await open_storage(new_storage_url)
    [alert] = await second.read(store.listed)
    await second.close()
    assert alert.state is Phase.FIRING


async def test_an_alert_whose_rule_is_gone_is_resolved_at_the_first_run(broker: Broker) -> None:
    """The file was removed or renamed while it fired: its episode ends, and ``why`` says so."""
    await broker.outage()
    without = AlertRules(broker.storage, SequentialIds(), (), defaults(), knows_running=users_running)
    await without.run(T + MINUTE)
    alert = await broker.alert()
    assert (alert.state, alert.resolved_at) == (Phase.RESOLVED, T + MINUTE)
    change = (await broker.storage.read(lambda conn: store.why(conn, alert.alert_id)))[-1]
    assert (change.to_state, change.reason) == (Phase.RESOLVED, "its rule is gone")
    assert change.episode_id == alert.episode_id


async def test_an_alert_with_labels_that_its_rule_has_no_more_is_resolved(broker: Broker) -> None:
    """The rule looks at another alert now, which fires by itself."""
    await broker.outage()
    changed = RULE.model_copy(update={"labels": {"slo": "availability", "site": "b"}})
    await AlertRules(broker.storage, RandomIds(), (changed,), defaults(), knows_running=users_running).run(T)
    states = {alert.labels.get("site"): alert.state for alert in await broker.storage.read(store.listed)}
    assert states == {None: Phase.RESOLVED, "b": Phase.FIRING}


async def test_a_rule_that_cannot_be_looked_at_keeps_no_other_from_firing(broker: Broker) -> None:
    """The others are looked at, and the module's health tells of the one."""
    wrong = RULE.conditions[0].model_copy(update={"window": "nonsense"})
    broken = RULE.model_copy(update={"id": "broken", "conditions": (wrong,)})
    rules = AlertRules(
        broker.storage, SequentialIds(), (broken, RULE), defaults(), knows_running=users_running
    )
    await broker.happen(ended(T), ended(T))
    with pytest.raises(Faults, match="broken: "):
        await rules.run(T)
    assert (await broker.alert()).state is Phase.FIRING


async def test_a_look_that_changes_nothing_draws_no_ids(broker: Broker) -> None:
    """Reading is reading: names are made where something is written down."""
    ids = SequentialIds()
    await AlertRules(broker.storage, ids, (RULE,), defaults(), knows_running=users_running).run(T)
    assert (ids.new("alert"), ids.uuid()) == (SequentialIds().new("alert"), SequentialIds().uuid())


async def test_the_end_of_an_earlier_episode_is_known(broker: Broker) -> None:
    """The last one until an instant, of these alerts."""
    await broker.outage()
    await broker.happen(*(ended(T + MINUTE, good=True) for _ in range(3)))
    await broker.module.run(T + 5 * MINUTE)
    alert_id, over = (await broker.alert()).alert_id, T + 5 * MINUTE
    for asked, until, known in (([alert_id], over, over), ([alert_id], T, None), (["other"], over, None)):
        read = partial(episode_store.last_end, alert_ids=asked, until=until)
        assert await broker.storage.read(read) == known


async def test_an_episode_tells_how_it_began_and_ended(broker: Broker) -> None:
    """From its history; while it goes on it has no end, and then it fires no more."""
    await broker.outage()
    [episode] = await broker.storage.read(episode_store.firing)
    assert (episode.rule_id, episode.fired_at) == (RULE.id, T)
    assert await broker.storage.read(lambda conn: episode_store.end(conn, episode.episode_id)) is None
    await broker.happen(*(ended(T + MINUTE, good=True) for _ in range(3)))
    await broker.module.run(T + 5 * MINUTE)
    start = await broker.storage.read(lambda conn: episode_store.start(conn, episode.episode_id))
    end = await broker.storage.read(lambda conn: episode_store.end(conn, episode.episode_id))
    assert (start and start.at, end and end.at) == (T, T + 5 * MINUTE)
    assert await broker.storage.read(episode_store.firing) == []


async def test_what_is_written_between_the_clock_and_the_look_is_looked_at(broker: Broker) -> None:
    """It is dated later than the cycle's instant, and so in no window of it; its own instant is due."""
    late = T + timedelta(milliseconds=5)
    await broker.happen(ended(late), ended(late))
    assert await broker.module.run(T) == late
    assert (await broker.alert()).state is Phase.INACTIVE
    await broker.module.run(late)
    assert (await broker.alert()).state is Phase.FIRING


async def test_an_alert_ends_though_its_rule_would_not_begin_it_any_more(storage: Storage) -> None:
    """What raised it was taken out of the file while it fired."""
    watched = packaged_rule("environment-degraded")
    [level] = watched.conditions
    changed = watched.model_copy(
        update={"conditions": (level.model_copy(update={"raised_by": (EventType.ENV_CHECK_FAILED,)}),)}
    )

    async def looked(rule: AlertRule, type: EventType, minutes: int) -> Phase:
        at = T + minutes * MINUTE
        event = Event(type=type, at=at, cli_type="gemini")
        await storage.write(lambda conn: telemetry.append(conn, event))
        await AlertRules(storage, RandomIds(), (rule,), defaults(), knows_running=users_running).run(at)
        [alert] = await storage.read(store.listed)
        return alert.state

    assert await looked(watched, EventType.ENV_DEGRADED, 0) is Phase.FIRING
    assert await looked(changed, EventType.ENV_RESTORED, 1) is Phase.RESOLVED


async def test_a_first_look_does_not_read_what_ever_happened(storage: Storage) -> None:
    """Every rule has its turn anyway; then it goes on from the last event."""
    await storage.write(lambda conn: [telemetry.append(conn, ended(T, good=True)) for _ in range(3)])
    news, last = await storage.read(lambda conn: latest_store.types_since(conn, 0))
    assert (news, last) == ({"EXECUTION_COMPLETED": T}, 3)
    assert await storage.read(latest_store.last_number) == 3
    assert await storage.read(lambda conn: latest_store.types_since(conn, 3)) == ({}, 3)
