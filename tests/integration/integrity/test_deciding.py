"""Foreign turns: looked at, accepted or removed by a person, and never anything else."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from kokino.conversations import store as conversation_store
from kokino.errors import Conflict
from kokino.integrity import acceptance_store
from kokino.integrity.deciding import Choice, Decided, accept, foreign_turns, remove
from kokino.integrity.model import Kind
from kokino.integrity.service import Integrity
from kokino.integrity.standing import standing
from kokino.storage import Storage
from kokino.telemetry import store as telemetry
from tests.integration.integrity.conftest import Plant
from tests.integration.integrity.damage import FOREIGN, tear_page

#: user-3 names no execution that is there; all four turns of c1 are another agent's.
GONE = "UPDATE turns SET execution_id = 'gone' WHERE turn_id = 'user-3'"
ANOTHERS = "UPDATE conversations SET agent_id = 'editor' WHERE conversation_id = 'c1'"
REASON = "imported by hand"


def these(*turn_ids: str) -> Choice:
    """Turns by name."""
    return Choice(turn_ids=turn_ids)


async def removed(integrity: Integrity, choice: Choice) -> Decided:
    """A removal, with what each database needs for one."""
    reference = None if integrity.storage.file else "kokino.dump"
    return await remove(integrity, choice, reason=REASON, reference=reference, by="ada")


async def left(storage: Storage) -> list[str]:
    """The turns of c2."""
    return [turn.turn_id for turn in await storage.read(lambda conn: conversation_store.turns_of(conn, "c2"))]


async def test_they_are_shown_with_what_they_say(integrity: Integrity, whole: Storage, plant: Plant) -> None:
    """By id, a page at a time, with the agent whose execution it was, if it is there."""
    assert await foreign_turns(whole, after=None, limit=9) == []
    plant(GONE, ANOTHERS)
    found = await foreign_turns(whole, after=None, limit=9)
    told = [(one.turn.turn_id, one.turn.agent_id, one.turn.execution_agent_id) for one in found]
    assert told == [
        ("assistant-1", "editor", "writer"),
        ("assistant-2", "editor", "writer"),
        ("user-1", "editor", "writer"),
        ("user-2", "editor", "writer"),
        ("user-3", "writer", None),
    ]
    assert (found[4].turn.excerpt, found[4].turn.length, found[4].acceptance) == ("user 3", 6, None)
    assert await foreign_turns(whole, after="assistant-2", limit=2) == found[2:4]


async def test_an_accepted_turn_is_counted_apart_and_no_fault(
    integrity: Integrity, whole: Storage, plant: Plant
) -> None:
    """The check after it passes, so the alert resolves; who, when and why is kept, and told as an event."""
    plant(GONE)
    assert (await integrity.check(by="test")).counts == {Kind.FOREIGN_TURN: 1}
    done = await accept(integrity, these("user-3"), reason=REASON, by="ada")
    assert (done.turns, done.after.passed, done.after.accepted, done.after.affected) == (1, True, 1, 0)
    [shown] = await foreign_turns(whole, after=None, limit=9)
    assert shown.acceptance == acceptance_store.Acceptance(at=integrity.clock.now(), by="ada", reason=REASON)
    passed, event, *_ = await whole.read(telemetry.recent)
    assert (passed.type, event.type) == ("INTEGRITY_CHECK_PASSED", "INTEGRITY_ACCEPTED")
    assert event.data == {"count": 1, "turns": ["user-3"], "by": "ada", "reason": REASON}
    assert [one.accepted for one in await integrity.history(limit=9)] == [1, 0]
    totals = (await standing(whole, integrity.backups, limit=1)).totals
    assert totals is not None
    assert totals.accepted == 1


async def test_accepted_turns_are_judged_by_nothing_any_more(integrity: Integrity, plant: Plant) -> None:
    """Not by the order of another agent's executions, nor by when they were said."""
    plant(*FOREIGN, "UPDATE turns SET said_at = 1 WHERE turn_id = 'foreign-6'")
    done = await accept(integrity, Choice(everything=2), reason=REASON, by="ada")
    assert (done.after.passed, done.after.accepted) == (True, 2)


async def test_who_accepted_first_is_kept(integrity: Integrity, whole: Storage, plant: Plant) -> None:
    """A second acceptance says nothing new: it counts none, and leaves no event."""
    plant(GONE)
    done = [(await accept(integrity, these("user-3"), reason=REASON, by=by)).turns for by in ("ada", "bob")]
    assert done == [1, 0]
    told = [one for one in await whole.read(telemetry.recent) if one.type == "INTEGRITY_ACCEPTED"]
    assert [one.data and one.data["by"] for one in told] == ["ada"]
    [shown] = await foreign_turns(whole, after=None, limit=9)
    assert shown.acceptance is not None
    assert shown.acceptance.by == "ada"


async def test_a_removed_turn_is_in_the_backup_alone(
    integrity: Integrity, whole: Storage, plant: Plant
) -> None:
    """An accepted one too, with its acceptance; the event names the backup."""
    plant(GONE)
    await accept(integrity, these("user-3"), reason=REASON, by="ada")
    done = await removed(integrity, these("user-3"))
    assert (done.turns, done.after.passed, done.after.accepted) == (1, True, 0)
    assert await left(whole) == ["assistant-3"]
    event = next(one for one in await whole.read(telemetry.recent) if one.type == "INTEGRITY_REMOVED")
    assert event.data is not None
    assert (event.data["turns"], event.data["backup"]) == (["user-3"], done.backup)
    if whole.file is not None:
        with closing(sqlite3.connect(Path(str(done.backup)))) as copy:
            assert copy.execute("SELECT content FROM turns WHERE turn_id = 'user-3'").fetchall() == [
                ("user 3",)
            ]


async def test_all_are_those_that_were_seen_and_nobody_accepted(
    integrity: Integrity, whole: Storage, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more since then, and nothing is done; else all of them go, in batches, but for the accepted one."""
    monkeypatch.setattr("kokino.integrity.deciding.ROWS", 2)
    plant(GONE, ANOTHERS)
    await accept(integrity, these("user-3"), reason=REASON, by="ada")
    for seen in (3, 5, None):
        with pytest.raises(Conflict, match="4 foreign turns that nobody accepted"):
            await removed(integrity, Choice(everything=seen))
    done = await removed(integrity, Choice(everything=4))
    assert (done.turns, done.after.passed, done.after.turns) == (4, True, 2)
    assert len(await left(whole)) == 2


async def test_only_foreign_turns_are_decided_about(
    integrity: Integrity, whole: Storage, plant: Plant
) -> None:
    """Not one that an execution accounts for, nor one that is not there; then none of the others either."""
    plant(GONE)
    for decide in (
        accept(integrity, these("user-3", "user-1"), reason="x", by="ada"),
        removed(integrity, these("user-3", "user-1", "nobodys")),
    ):
        with pytest.raises(Conflict, match="not a foreign turn: user-1"):
            await decide
    assert len(await left(whole)) == 2
    assert integrity.backups.list() == []
    assert (await integrity.check(by="test")).counts == {Kind.FOREIGN_TURN: 1}


async def test_nothing_is_removed_without_a_backup_or_from_a_damaged_file(
    integrity: Integrity, whole: Storage, plant: Plant
) -> None:
    """A server's database needs one that is named; a torn page ends it before anything is written."""
    plant(GONE)
    if whole.file is None:
        with pytest.raises(Conflict, match="pg_dump"):
            await remove(integrity, these("user-3"), reason=REASON, reference=None, by="ada")
    else:
        tear_page(whole.file, "records")
        with pytest.raises(Conflict, match="kokino integrity restore"):
            await removed(integrity, these("user-3"))
    assert len(await left(whole)) == 2
