"""What a check finds, on both databases, when damage was planted."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from sqlalchemy import Connection

from kokino.conversations import fault_store
from kokino.integrity.model import MOST_FINDINGS, Finding, Kind
from kokino.integrity.service import Integrity
from kokino.storage import Storage
from kokino.telemetry import store as telemetry
from kokino.telemetry.model import Event
from tests.integration.integrity.conftest import Plant
from tests.integration.integrity.damage import swap

ORPHAN = (
    "INSERT INTO turns (turn_id, conversation_id, number, role, content, said_at)"
    " VALUES ('lost-{0}', '{1}', {0}, 'user', 'x', 0)"
)
RECORD = (
    "INSERT INTO records (execution_id, number, stream, body, size, written_at, attempt)"
    " VALUES ('gone', 1, 'stdout', 'x', 1, 0, 1)"
)
SESSION = (
    "INSERT INTO sessions (agent_id, cli_type, session_id, conversation_id, is_established, created_at,"
    " used_at) VALUES ('writer', 'claude', 's', 'gone', {}, 0, 0)"
)
RUNNING = "UPDATE executions SET state = 'running', ended_at = NULL WHERE execution_id = 'exec-3'"
TRANSITION = (
    "INSERT INTO alert_transitions (alert_id, at, from_state, to_state, reason, measured)"
    " VALUES ('gone', 0, 'inactive', 'firing', 'x', '{}')"
)


async def found_by(integrity: Integrity) -> list[Finding]:
    """What a check finds."""
    return list((await integrity.check(by="test")).findings)


async def events(storage: Storage) -> list[Event]:
    """All events, the oldest first."""
    return (await storage.read(telemetry.recent))[::-1]


async def test_a_whole_database_passes(integrity: Integrity, whole: Storage) -> None:
    """Everything is counted, and the event tells the service level how much."""
    report = await integrity.check(by="test")
    assert (report.passed, report.conversations, report.turns, report.affected) == (True, 2, 6, 0)
    [event] = await events(whole)
    assert event.type == "INTEGRITY_CHECK_PASSED"
    assert event.data is not None
    assert (event.data["conversations"], event.data["faulty"]) == (2, 0)


async def test_a_turn_without_its_conversation_is_an_orphan(
    integrity: Integrity, whole: Storage, plant: Plant
) -> None:
    """It is named, its conversation counts as faulty, and the event that raises the alert comes first."""
    plant(ORPHAN.format(1, "gone"), ORPHAN.format(2, "gone"))
    report = await integrity.check(by="test")
    [finding] = report.findings
    assert (finding.kind, finding.count, finding.conversation_id) == (Kind.ORPHANED_TURN, 2, "gone")
    assert list(finding.ids) == ["lost-1", "lost-2"]
    assert finding.is_repairable
    assert (report.conversations, report.affected) == (3, 1)
    raised, failed = await events(whole)
    assert (raised.type, failed.type) == ("ORPHAN_DETECTED", "INTEGRITY_CHECK_FAILED")
    assert failed.data is not None
    assert (failed.data["conversations"], failed.data["faulty"]) == (3, 1)


async def test_swapped_turns_are_out_of_order(integrity: Integrity, plant: Plant) -> None:
    """The conversation and both turns are named."""
    plant(*swap("user-1", "user-2"))
    [finding] = await found_by(integrity)
    assert (finding.kind, finding.conversation_id, finding.is_repairable) == (Kind.TURN_ORDER, "c1", True)
    assert set(finding.ids) == {"user-1", "user-2"}


async def test_one_side_of_an_execution_stands_twice(integrity: Integrity, plant: Plant) -> None:
    """Word for word it may go; with other words nobody knows which one was said."""
    double = (
        "INSERT INTO turns (turn_id, conversation_id, number, execution_id, role, content, said_at)"
        " SELECT 'double-' || turn_id, conversation_id, number + 10, execution_id, role, {}, said_at"
        " FROM turns WHERE turn_id = 'assistant-{}'"
    )
    plant(double.format("content", 2), double.format("'something else'", 3))
    found = await found_by(integrity)
    assert [(one.kind, one.conversation_id, one.is_repairable) for one in found] == [
        (Kind.DUPLICATE_TURN, "c1", True),
        (Kind.DUPLICATE_TURN, "c2", False),
    ]


async def test_turns_of_no_execution_and_of_anothers(integrity: Integrity, plant: Plant) -> None:
    """Nothing can be invented for them, so they stay."""
    plant(
        "UPDATE turns SET execution_id = 'gone' WHERE turn_id = 'user-3'",
        "UPDATE conversations SET agent_id = 'editor' WHERE conversation_id = 'c1'",
    )
    found = await found_by(integrity)
    assert [(one.kind, one.conversation_id, one.count, one.is_repairable) for one in found] == [
        (Kind.FOREIGN_TURN, "c1", 4, False),
        (Kind.FOREIGN_TURN, "c2", 1, False),
    ]


async def test_an_execution_that_nobody_will_end(integrity: Integrity, plant: Plant) -> None:
    """It runs and holds no lock; or it is over at no time."""
    plant(RUNNING, "UPDATE executions SET ended_at = NULL WHERE execution_id = 'exec-1'")
    found = await found_by(integrity)
    assert [(one.kind, list(one.ids)) for one in found] == [
        (Kind.EXECUTION_WITHOUT_END, ["exec-3"]),
        (Kind.EXECUTION_WITHOUT_END, ["exec-1"]),
    ]
    assert "kokino restart" in found[0].mend


async def test_a_session_whose_conversation_is_gone(integrity: Integrity, plant: Plant) -> None:
    """It may be forgotten, but not while its agent runs something."""
    plant(SESSION.format("TRUE"))
    [finding] = await found_by(integrity)
    assert (finding.kind, finding.is_repairable) == (Kind.DANGLING_SESSION, True)
    plant(RUNNING)
    first = next(one for one in await found_by(integrity) if one.kind is Kind.DANGLING_SESSION)
    assert not first.is_repairable


async def test_rows_whose_foreign_key_leads_nowhere(integrity: Integrity, plant: Plant) -> None:
    """What was to go with its parent may go; what was to stay is for a person."""
    plant(RECORD, TRANSITION)
    found = {one.table: one for one in await found_by(integrity)}
    assert (found["records"].is_repairable, list(found["records"].ids)) == (True, ["gone/1"])
    assert not found["alert_transitions"].is_repairable
    assert {one.kind for one in found.values()} == {Kind.FOREIGN_KEY}


async def test_much_damage_is_counted_in_full_and_told_in_part(integrity: Integrity, plant: Plant) -> None:
    """More conversations are lost than a check keeps findings of."""
    many = MOST_FINDINGS + 5
    plant(*(ORPHAN.format(number, f"gone-{number}") for number in range(many)))
    report = await integrity.check(by="test")
    assert (report.total, report.affected, len(report.findings)) == (many, many, MOST_FINDINGS)
    assert report.counts == report.repairable == {Kind.ORPHANED_TURN: many}


@pytest.mark.parametrize("bound", ["AT_ONCE", "TURNS_AT_ONCE"])
async def test_conversations_are_looked_through_in_portions(
    integrity: Integrity, plant: Plant, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    """What is wrong in the last is found, however few conversations or turns a portion holds."""
    monkeypatch.setattr(f"kokino.integrity.turn_checks.{bound}", 1)
    looked_at = list[set[str]]()
    said_in = fault_store.said_in

    def noted(conn: Connection, conversation_ids: Collection[str]) -> list[fault_store.Said]:
        looked_at.append(set(conversation_ids))
        return said_in(conn, conversation_ids)

    monkeypatch.setattr(fault_store, "said_in", noted)
    plant(*swap("user-3", "assistant-3"))
    report = await integrity.check(by="test")
    assert [one.conversation_id for one in report.findings] == ["c2"]
    assert report.conversations == 2
    assert looked_at == [{"c1"}, {"c2"}, set()]


async def test_a_check_is_told_as_it_was(integrity: Integrity, plant: Plant, whole: Storage) -> None:
    """From the database, findings too; what a server could not look at is said."""
    plant(*swap("user-1", "assistant-1"))
    made = await integrity.check(by="somebody")
    [read] = await integrity.history(limit=5)
    assert (read.check_id, read.by, read.counts, read.total) == (made.check_id, "somebody", made.counts, 1)
    assert [one.message for one in read.findings] == [one.message for one in made.findings]
    assert any("amcheck" in missed for missed in read.not_checked) == (whole.dialect == "postgresql")
