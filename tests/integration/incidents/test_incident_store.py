"""Incidents in the database: every change has its entry, and no change is made that the table forbids."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import Connection

from kokino.errors import Conflict, NotFound
from kokino.incidents import store
from kokino.incidents.model import ActionItem, EntryKind, Incident, IncidentState
from kokino.storage import Storage

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def open_one(conn: Connection, *, opened_at: datetime = START) -> Incident:
    """A P1 of its own."""
    return store.open_incident(
        conn,
        rule_id="availability-slo-breach",
        labels={},
        title="Availability SLO Breach",
        severity="P1",
        owner="@backend-team",
        opened_at=opened_at,
        now=opened_at,
    )


async def test_a_second_incident_in_one_minute_has_a_name_of_its_own(storage: Storage) -> None:
    """Names are chosen once: the third of a minute ends in -3."""
    names = [(await storage.write(open_one)).document for _ in range(3)]
    assert names == [
        "incident-20260105-0900.md",
        "incident-20260105-0900-2.md",
        "incident-20260105-0900-3.md",
    ]


async def test_a_change_and_its_entry_are_one(storage: Storage) -> None:
    """A refused change leaves no entry behind."""
    await storage.write(open_one)
    await storage.write(lambda conn: store.resolve(conn, 1, at=START, author="ada", text="Over"))
    before = await storage.read(lambda conn: store.entries(conn, 1))

    with pytest.raises(Conflict, match="cannot mitigate INC-1: it is resolved; possible: review"):
        await storage.write(lambda conn: store.mitigate(conn, 1, at=START, author="ada", text="Better"))

    assert await storage.read(lambda conn: store.entries(conn, 1)) == before


async def test_the_whole_life_is_told(storage: Storage) -> None:
    """From open to reviewed, each change is an entry of its kind by whoever made it."""
    await storage.write(open_one)
    changes = [store.mitigate, store.reopen, store.mitigate, store.resolve, store.review]
    for number, change in enumerate(changes):
        at = START + timedelta(minutes=number)
        await storage.write(partial(change, number=1, at=at, author="ada", text="So"))

    entries = await storage.read(lambda conn: store.entries(conn, 1))
    assert [entry.kind for entry in entries[1:]] == [
        EntryKind.MITIGATED,
        EntryKind.REOPENED,
        EntryKind.MITIGATED,
        EntryKind.RESOLVED,
        EntryKind.REVIEWED,
    ]
    assert {entry.author for entry in entries[1:]} == {"ada"}
    incident = await storage.read(lambda conn: store.get(conn, 1))
    assert incident.state is IncidentState.REVIEWED
    assert incident.reviewed_at == START + timedelta(minutes=4)


async def test_what_people_found_stays_when_it_is_resolved(storage: Storage) -> None:
    """A stated root cause is not replaced, and action items are added to theirs, each once."""
    await storage.write(open_one)
    await storage.write(
        lambda conn: store.state_root_cause(conn, 1, at=START, author="ada", text="The token expired")
    )
    await storage.write(lambda conn: store.add_action_item(conn, 1, at=START, author="ada", text="Renew it"))
    items = [ActionItem(text="Renew it"), ActionItem(text="Watch it")]
    incident = await storage.write(
        lambda conn: store.resolve(
            conn, 1, at=START, author="kokino", text="Over", root_cause="Unknown", action_items=items
        )
    )
    assert incident.root_cause == "The token expired"
    assert [item.text for item in incident.action_items] == ["Renew it", "Watch it"]


async def test_an_action_item_is_ticked_off(storage: Storage) -> None:
    """Only one that is there can be done."""
    await storage.write(open_one)
    await storage.write(lambda conn: store.add_action_item(conn, 1, at=START, author="ada", text="Renew it"))
    await storage.write(lambda conn: store.finish_action_item(conn, 1, index=0, at=START, author="bob"))

    incident = await storage.read(lambda conn: store.get(conn, 1))
    assert incident.action_items == (ActionItem(text="Renew it", is_done=True),)
    with pytest.raises(NotFound, match="INC-1 has no action item 1: it has 1, counted from 0"):
        await storage.write(lambda conn: store.finish_action_item(conn, 1, index=1, at=START, author="bob"))


async def test_what_open_incidents_cover_is_listed(storage: Storage) -> None:
    """Episodes of incidents that are mitigated or over are not among them."""
    for number in (1, 2):
        await storage.write(open_one)
        await storage.write(
            partial(store.join, number=number, episode_id=f"episode-{number}", alert_id=f"alert-{number}")
        )
    await storage.write(lambda conn: store.mitigate(conn, 1, at=START, author="ada", text="Better"))
    found = await storage.read(store.open_episodes)
    assert found == [("availability-slo-breach", "alert-2", "episode-2", 2)]


async def test_pages_go_back_in_time(storage: Storage) -> None:
    """A list is read from the newest, each page from below the last number of the one before."""
    for _ in range(5):
        await storage.write(open_one)
    first = await storage.read(lambda conn: store.page(conn, limit=2))
    second = await storage.read(lambda conn: store.page(conn, limit=2, before=first[-1].number))
    assert [incident.number for incident in first + second] == [5, 4, 3, 2]


async def test_a_list_of_one_state(storage: Storage) -> None:
    """Resolved incidents are not among the open ones."""
    await storage.write(open_one)
    await storage.write(open_one)
    await storage.write(lambda conn: store.resolve(conn, 1, at=START, author="ada", text="Over"))
    found = await storage.read(lambda conn: store.page(conn, limit=9, state=IncidentState.OPEN))
    assert [incident.number for incident in found] == [2]


async def test_an_unknown_incident_is_said_to_be_unknown(storage: Storage) -> None:
    """Neither read nor written."""
    with pytest.raises(NotFound, match="there is no incident INC-7"):
        await storage.write(lambda conn: store.note(conn, 7, at=START, author="ada", text="?"))


async def test_a_file_is_behind_until_it_is_written(storage: Storage) -> None:
    """What was documented moves forward only."""
    await storage.write(open_one)
    [entry] = await storage.read(lambda conn: store.entries(conn, 1))
    assert await storage.read(store.undocumented) == [1]
    await storage.write(lambda conn: store.documented(conn, 1, up_to=entry.entry_id))
    await storage.write(lambda conn: store.documented(conn, 1, up_to=0))
    assert await storage.read(store.undocumented) == []
