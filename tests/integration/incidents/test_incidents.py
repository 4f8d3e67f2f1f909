"""The module that opens and resolves incidents, run through virtual time on both databases."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection

from kokino.agents import traffic_store
from kokino.agents.model import Fallback
from kokino.alerts.module import AlertRules
from kokino.barrier import Faults
from kokino.executions.store import users_running
from kokino.incidents import Incidents, store
from kokino.incidents.evidence import Evidence, Repair
from kokino.incidents.model import EntryKind, Incident, IncidentState, Pattern
from kokino.slo.defaults import defaults
from kokino.storage import Storage
from kokino.telemetry import store as telemetry
from kokino.telemetry.model import Event
from kokino.testing.ids import SequentialIds
from tests.fixtures.episodes import Episodes, incidents_of

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
LABELS = {"agent": "reviewer"}


def minutes(count: float) -> timedelta:
    """A length on the timeline."""
    return timedelta(minutes=count)


@dataclass
class Facts:
    """Playbook runs that are as far as a test says, for each incident; those of one cannot be read."""

    state: Repair = Repair.NONE
    unreadable: int | None = None

    def evidence(self, conn: Connection, number: int) -> list[Evidence]:
        return []

    def repair(self, conn: Connection, number: int) -> Repair:
        if number == self.unreadable:
            raise LookupError("unreadable")
        return self.state


@pytest.fixture
def module(storage: Storage) -> Incidents:
    """The module under test."""
    return incidents_of(storage)


async def all_incidents(storage: Storage) -> list[Incident]:
    """In the order in which they were opened."""
    return list(reversed(await storage.read(lambda conn: store.page(conn, limit=50))))


async def kinds(storage: Storage, number: int) -> list[EntryKind]:
    """What the timeline tells of."""
    return [entry.kind for entry in await storage.read(lambda conn: store.entries(conn, number))]


async def recognise(storage: Storage, number: int, finding: Pattern) -> None:
    """A playbook run says what it recognised."""
    await storage.write(
        lambda conn: store.append(
            conn,
            number,
            at=START + minutes(1),
            kind=EntryKind.PATTERN,
            author="kokino",
            text="Recognised",
            data=finding.to_data(),
        )
    )


async def ends(
    storage: Storage, at: datetime, *, good: int = 0, bad: int = 0, label: str | None = None
) -> None:
    """Executions end one second after another."""
    types = ["EXECUTION_COMPLETED"] * good + ["EXECUTION_FAILED"] * bad

    def write(conn: Connection) -> None:
        for number, type in enumerate(types):
            event = Event(
                type=type,
                at=at + timedelta(seconds=number),
                agent_id="reviewer",
                cli_type="claude-code",
                kind="auth" if type == "EXECUTION_FAILED" else None,
                label=label,
                duration_ms=1000,
            )
            telemetry.append(conn, event)

    await storage.write(write)


async def test_a_firing_p1_opens_one_incident(
    storage: Storage, episodes: Episodes, module: Incidents
) -> None:
    """However often the module runs, one episode has one incident, which began when the alert fired."""
    await episodes.fire(START)

    await module.run(START + minutes(1))
    await module.run(START + minutes(2))

    [incident] = await all_incidents(storage)
    assert incident.id == "INC-1"
    assert incident.title == "Availability SLO Breach"
    assert (incident.severity, incident.owner) == ("P1", "@backend-team")
    assert incident.opened_at == START
    assert incident.document == "incident-20260105-0900.md"
    assert await kinds(storage, 1) == [EntryKind.OPENED, EntryKind.FIRED]


async def test_the_timeline_begins_with_what_was_measured(
    storage: Storage, episodes: Episodes, module: Incidents
) -> None:
    """The first entry has the rule's own figures, at the time when it fired."""
    await episodes.fire(START)
    await module.run(START + minutes(1))

    [_, fired] = await storage.read(lambda conn: store.entries(conn, 1))
    assert fired.at == START
    assert (
        fired.text == "Alert fired: availability 98.20 % over 1 h is under 99 % (9 of 500 executions failed)"
    )


async def test_a_p3_opens_none(storage: Storage, episodes: Episodes, module: Incidents) -> None:
    """What waits for the next working day is no incident."""
    await episodes.fire(START, rule_id="lock-timeout")
    await module.run(START)
    assert await all_incidents(storage) == []


async def test_an_incident_waits_until_its_repair_is_verified(storage: Storage, episodes: Episodes) -> None:
    """The alert may clear before a playbook has seen that it helped; what it takes back later may wait."""
    episode = await episodes.fire(START)
    await incidents_of(storage).run(START)
    await episodes.resolve(episode, START + minutes(5))
    await incidents_of(storage, runs=Facts(Repair.REPAIRING)).run(START + minutes(5))
    assert [incident.state for incident in await all_incidents(storage)] == [IncidentState.OPEN]

    await incidents_of(storage, runs=Facts(Repair.RESTORING)).run(START + minutes(9))
    assert [incident.state for incident in await all_incidents(storage)] == [IncidentState.RESOLVED]


async def test_what_a_playbook_takes_back_by_itself_is_nobodys_action_item(
    storage: Storage, episodes: Episodes
) -> None:
    """A CLI type that is still disabled is told of only where nothing will enable it."""
    episode = await episodes.fire(START)
    await incidents_of(storage).run(START)
    off = Fallback(cli_type="codex", reason="single-cli", since=START, target=None, set_by="kokino")
    await storage.write(lambda conn: traffic_store.disable(conn, off))
    await episodes.resolve(episode, START + minutes(5))
    await incidents_of(storage, runs=Facts(Repair.RESTORING)).run(START + minutes(5))
    [incident] = await all_incidents(storage)
    assert "Enable codex again" not in " ".join(item.text for item in incident.action_items)


async def test_an_incident_that_cannot_be_followed_keeps_no_other_from_its_end(
    storage: Storage, episodes: Episodes
) -> None:
    """The others are resolved, and the module's health tells of the one."""
    fired = [
        await episodes.fire(START, rule_id="circuit-breaker-opened", labels={"agent": name})
        for name in ("reviewer", "writer")
    ]
    await incidents_of(storage).run(START)
    for episode in fired:
        await episodes.resolve(episode, START + minutes(5))
    with pytest.raises(Faults, match="INC-1: LookupError: unreadable"):
        await incidents_of(storage, runs=Facts(unreadable=1)).run(START + minutes(5))
    states = [incident.state for incident in await all_incidents(storage)]
    assert states == [IncidentState.OPEN, IncidentState.RESOLVED]


async def test_an_incident_ends_with_its_alert_when_the_rule_is_gone(
    storage: Storage, episodes: Episodes
) -> None:
    """It needs nothing more of the rule, and says why its alert cleared."""
    await episodes.fire(START)
    await incidents_of(storage).run(START)
    await AlertRules(storage, SequentialIds(), (), defaults(), knows_running=users_running).run(
        START + minutes(4)
    )
    await incidents_of(storage, rules={}).run(START + minutes(4))
    [incident] = await all_incidents(storage)
    assert (incident.state, incident.resolved_at) == (IncidentState.RESOLVED, START + minutes(4))
    told = [entry.text for entry in await storage.read(lambda conn: store.entries(conn, 1))]
    assert "Alert cleared: its rule is gone" in told


async def test_other_labels_are_another_incident(
    storage: Storage, episodes: Episodes, module: Incidents
) -> None:
    """Two agents' breakers are two outages, and their titles tell them apart."""
    await episodes.fire(START, rule_id="circuit-breaker-opened", labels=LABELS)
    await episodes.fire(START, rule_id="circuit-breaker-opened", labels={"agent": "writer"})
    await module.run(START)

    titles = [incident.title for incident in await all_incidents(storage)]
    assert titles == ["Circuit Breaker Opened (agent reviewer)", "Circuit Breaker Opened (agent writer)"]


async def test_it_is_resolved_when_its_alert_is_over(
    storage: Storage, episodes: Episodes, module: Incidents
) -> None:
    """The end is the alert's, whenever the module hears of it, and the review is due 48 hours later."""
    episode = await episodes.fire(START)
    await module.run(START)
    await episodes.resolve(episode, START + minutes(23))
    await module.run(START + minutes(40))
    await module.run(START + minutes(41))

    [incident] = await all_incidents(storage)
    assert incident.state is IncidentState.RESOLVED
    assert incident.resolved_at == START + minutes(23)
    assert incident.review_due_at == START + minutes(23) + timedelta(hours=48)
    assert (await kinds(storage, 1))[2:] == [EntryKind.CLEARED, EntryKind.RESOLVED]


async def test_the_review_of_a_p2_is_due_in_a_week(
    storage: Storage, episodes: Episodes, module: Incidents
) -> None:
    """The specification gives a P2 a week."""
    episode = await episodes.fire(START, rule_id="circuit-breaker-opened", labels=LABELS)
    await module.run(START)
    await episodes.resolve(episode, START)
    await module.run(START)

    [incident] = await all_incidents(storage)
    assert incident.review_due_at == START + timedelta(weeks=1)


async def test_firing_again_after_the_end_is_a_new_incident(
    storage: Storage, episodes: Episodes, module: Incidents
) -> None:
    """A resolved incident is history; one that began in the same minute has a file of its own."""
    episode = await episodes.fire(START)
    await module.run(START)
    await episodes.resolve(episode, START + timedelta(seconds=20))
    await module.run(START + timedelta(seconds=20))
    await episodes.fire(START + timedelta(seconds=50))
    await module.run(START + timedelta(seconds=50))

    first, second = await all_incidents(storage)
    assert first.state is IncidentState.RESOLVED
    assert second.state is IncidentState.OPEN
    assert second.document == "incident-20260105-0900-2.md"


async def test_firing_again_before_the_end_was_seen_joins(
    storage: Storage, episodes: Episodes, module: Incidents
) -> None:
    """What fell back while nobody looked is the same outage, until the last episode ends."""
    first = await episodes.fire(START)
    await module.run(START)
    await episodes.resolve(first, START + minutes(5))
    second = await episodes.fire(START + minutes(6))
    await module.run(START + minutes(7))
    [incident] = await all_incidents(storage)
    assert incident.state is IncidentState.OPEN

    await episodes.resolve(second, START + minutes(20))
    await module.run(START + minutes(20))

    [incident] = await all_incidents(storage)
    assert incident.resolved_at == START + minutes(20)
    assert await storage.read(lambda conn: store.episodes(conn, 1)) == [first, second]


async def test_firing_again_opens_a_mitigated_incident_again(
    storage: Storage, episodes: Episodes, module: Incidents
) -> None:
    """A repair that did not last no longer keeps people from being told."""
    first = await episodes.fire(START)
    await module.run(START)
    await storage.write(
        lambda conn: store.mitigate(conn, 1, at=START + minutes(3), author="ada", text="Moved to gemini")
    )
    await episodes.resolve(first, START + minutes(5))
    await episodes.fire(START + minutes(6))
    await module.run(START + minutes(7))

    [incident] = await all_incidents(storage)
    assert incident.state is IncidentState.OPEN
    assert incident.mitigated_at is None


async def test_what_a_person_resolved_stays_so(
    storage: Storage, episodes: Episodes, module: Incidents
) -> None:
    """The end of the alert adds nothing to an incident that somebody has closed."""
    episode = await episodes.fire(START)
    await module.run(START)
    await storage.write(
        lambda conn: store.resolve(conn, 1, at=START + minutes(2), author="ada", text="Known")
    )
    await episodes.resolve(episode, START + minutes(9))
    await module.run(START + minutes(9))

    [incident] = await all_incidents(storage)
    assert incident.resolved_at == START + minutes(2)


async def test_the_recognised_pattern_becomes_the_root_cause(
    storage: Storage, episodes: Episodes, module: Incidents
) -> None:
    """What the playbook found is stated in words, with what is to be done about it."""
    episode = await episodes.fire(START)
    await module.run(START)
    await recognise(
        storage,
        1,
        Pattern(
            pattern="single-cli",
            cause="the login of claude-code has expired",
            cli_type="claude-code",
            account="claude-code:~",
            kind="auth",
        ),
    )
    off = Fallback(
        cli_type="claude-code",
        reason="single-cli",
        since=START + minutes(2),
        target="gemini",
        set_by="kokino",
    )
    await storage.write(lambda conn: traffic_store.disable(conn, off))
    await episodes.resolve(episode, START + minutes(10))
    await module.run(START + minutes(10))

    [incident] = await all_incidents(storage)
    assert incident.root_cause is not None
    assert incident.root_cause.startswith("The login of claude-code has expired.")
    assert [item.text for item in incident.action_items][:3] == [
        "Renew the login of account claude-code:~",
        "Add an expiry check of that login to the environment doctor, to renew it before it expires",
        "Enable claude-code again: it is still disabled (single-cli)",
    ]


async def test_the_cost_is_counted_at_the_end(
    storage: Storage, episodes: Episodes, module: Incidents
) -> None:
    """Failures since the first one count, successes before it and probes do not, and the figures are kept."""
    await ends(storage, START - minutes(30), good=100)
    await ends(storage, START - minutes(2), bad=6, good=4)
    await ends(storage, START, bad=1, label="probe")
    episode = await episodes.fire(START)
    await module.run(START)
    await episodes.resolve(episode, START + minutes(10))
    await module.run(START + minutes(10))

    entries = await storage.read(lambda conn: store.entries(conn, 1))
    impact = entries[-1].data["impact"]
    assert (impact["failed"], impact["valid"]) == (6, 6)
    assert impact["kinds"] == {"auth": 6}
    assert impact["cli_types"] == {"claude-code": 6}
    assert impact["agents"] == ["reviewer"]
    assert impact["budget_spent"] == pytest.approx(6 / (0.005 * 110))


async def test_failures_of_the_episode_before_are_not_counted_again(
    storage: Storage, episodes: Episodes, module: Incidents
) -> None:
    """Each outage has its own cost, although the alert's window of an hour reaches into the one before."""
    await ends(storage, START, bad=6)
    first = await episodes.fire(START + minutes(1))
    await module.run(START + minutes(1))
    await episodes.resolve(first, START + minutes(2))
    await module.run(START + minutes(2))
    await ends(storage, START + minutes(3), bad=4)
    second = await episodes.fire(START + minutes(4))
    await module.run(START + minutes(4))
    await episodes.resolve(second, START + minutes(5))
    await module.run(START + minutes(5))

    entries = await storage.read(lambda conn: store.entries(conn, 2))
    assert entries[-1].data["impact"]["failed"] == 4
