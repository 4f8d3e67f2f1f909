"""What people do about an incident: written down, and the bell rung."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kokino.errors import Conflict, NotFound
from kokino.incidents import store
from kokino.incidents.model import ActionItem, EntryKind, IncidentState
from kokino.incidents.service import IncidentResponse
from kokino.storage import Storage
from kokino.testing.clock import ManualClock

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


class Desk:
    """The service over one open incident, and how often it rang."""

    def __init__(self, storage: Storage) -> None:
        self.rung = 0
        self.storage = storage
        self.response = IncidentResponse(storage=storage, clock=ManualClock(START), on_change=self._ring)

    def _ring(self) -> None:
        self.rung += 1

    async def last(self) -> tuple[EntryKind, str, str, datetime]:
        """The newest entry: kind, author, text, time."""
        entry = (await self.storage.read(lambda conn: store.entries(conn, 1)))[-1]
        return entry.kind, entry.author, entry.text, entry.at


@pytest.fixture
async def desk(storage: Storage) -> Desk:
    """One open P1."""
    await storage.write(
        lambda conn: store.open_incident(
            conn,
            rule_id="availability-slo-breach",
            labels={},
            title="Availability SLO Breach",
            severity="P1",
            owner="@backend-team",
            opened_at=START,
            now=START,
        )
    )
    return Desk(storage)


async def test_a_remark_is_written_with_its_author_and_time(desk: Desk) -> None:
    """And whoever follows the timeline is woken."""
    await desk.response.note(1, by="ada", text="Looking at it")
    assert await desk.last() == (EntryKind.NOTE, "ada", "Looking at it", START)
    assert desk.rung == 1


async def test_a_person_says_that_a_repair_holds(desk: Desk) -> None:
    """The incident is mitigated by their word."""
    await desk.response.mitigate(1, by="ada", text="Moved to codex")
    assert (await desk.storage.read(lambda conn: store.get(conn, 1))).state is IncidentState.MITIGATED
    assert desk.rung == 1


async def test_what_is_refused_wakes_nobody(desk: Desk) -> None:
    """Nothing has changed."""
    with pytest.raises(Conflict, match="cannot review INC-1"):
        await desk.response.review(1, by="ada", text="Done")
    with pytest.raises(NotFound, match="there is no incident INC-9"):
        await desk.response.note(9, by="ada", text="?")
    assert desk.rung == 0


async def test_the_review_states_the_cause_and_what_is_to_be_done(desk: Desk) -> None:
    """Root cause, an action item and its end stand on the incident, each with its entry."""
    await desk.response.state_root_cause(1, by="ada", text="The token expired")
    await desk.response.add_action_item(1, by="ada", text="Renew it")
    await desk.response.finish_action_item(1, by="bob", index=0)
    incident = await desk.storage.read(lambda conn: store.get(conn, 1))
    assert incident.root_cause == "The token expired"
    assert incident.action_items == (ActionItem(text="Renew it", is_done=True),)
    assert await desk.last() == (EntryKind.ACTION_ITEM, "bob", "Action item done: Renew it", START)
    assert desk.rung == 3
