"""Damage is planted under a running broker: it is found, paged for, put right or refused, and restored."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kokino.app import recovery
from kokino.clock import iso, to_ms
from kokino.integrity.model import Kind
from kokino.playbooks.library import load_library
from kokino.playbooks.model import DrillCase, DrillEnd
from kokino.testing.broker import PATIENCE, TestBroker
from tests.acceptance.serving import KOKINO
from tests.integration.integrity.damage import swap, tear_page, write_past

RULE = "data-integrity-failure"
DRILLS = load_library().get(RULE).drills
DAY = timedelta(days=1)
DOUBLE = (
    "INSERT INTO turns SELECT 'double', conversation_id, 99, execution_id, role, content, said_at"
    " FROM turns WHERE turn_id = '{}'"
)
NO_TIME = "UPDATE turns SET said_at = 'noon' WHERE turn_id = '{}'"
STRAY = "UPDATE turns SET execution_id = 'gone' WHERE turn_id = '{}'"
TIMELESS = "UPDATE executions SET error = ended_at, ended_at = NULL WHERE number = 1"
TIMED = "UPDATE executions SET ended_at = CAST(error AS INTEGER), error = NULL WHERE number = 1"
TRANSITION = "INSERT INTO alert_transitions VALUES (99, 'x', NULL, {}, '', '', '', '{{}}')"
ORPHAN = "INSERT INTO turns VALUES ('{}', 'gone', {}, NULL, 'user', 'lost', 0)"


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[TestBroker]:
    """A writer that has said something twice."""
    async with TestBroker(tmp_path / "home") as running:
        for _ in range(2):
            assert (await running.execute("writer")).status_code == 200
        yield running


def database(broker: TestBroker) -> Path:
    """Its file."""
    return broker.home / "broker" / "data" / "kokino.db"


def content(path: Path) -> bytes:
    """Of a file."""
    return path.read_bytes()


def plant(broker: TestBroker, *statements: str) -> None:
    """Write past the schema."""
    write_past(f"sqlite:///{database(broker)}", *statements)


def turns(broker: TestBroker) -> list[str]:
    """The ids of all turns, in their order."""
    with closing(sqlite3.connect(database(broker))) as conn:
        return [row[0] for row in conn.execute("SELECT turn_id FROM turns ORDER BY number")]


def inject(broker: TestBroker, case: DrillCase) -> None:
    """The damage that a drill names."""
    first, second, third, *_ = turns(broker)
    match case.damage:
        case Kind.ORPHANED_TURN:
            plant(broker, ORPHAN.format("lost", 1))
        case Kind.TURN_ORDER:
            plant(broker, *swap(first, third))
        case Kind.FOREIGN_KEY:
            plant(broker, "INSERT INTO records VALUES ('gone', 1, 'stdout', 'x', 1, 0, 1, NULL)")
        case Kind.DUPLICATE_TURN:
            plant(
                broker,
                DOUBLE.format(second),
            )
        case Kind.FOREIGN_TURN:
            plant(broker, STRAY.format(first))
        case Kind.EXECUTION_WITHOUT_END:
            plant(broker, TIMELESS)
        case Kind.FILE_DAMAGE:
            tear_page(database(broker), "turns")


async def alert_state(broker: TestBroker) -> str:
    """Of the alert on integrity."""
    [found] = [one for one in await broker.get("/api/alerts") if one["ruleId"] == RULE]
    return str(found["state"])


async def drilled(broker: TestBroker, case: DrillCase) -> Any:
    """Inject, have it found, let the playbook look, act and verify once; the playbook's run."""
    inject(broker, case)
    began_at = iso(broker.clock.now())
    assert not (await broker.get("/api/integrity/check"))["passed"]
    await broker.fast_forward(minutes=2)
    [run, *_] = (await broker.get("/api/playbook-runs"))["items"]
    assert run["startedAt"] >= began_at, "it is an earlier drill's"
    assert run["pattern"] == case.pattern, run["reason"]
    return run


async def test_what_may_be_is_put_right_by_the_playbook(broker: TestBroker) -> None:
    """Each such drill pages, is recognised, cleaned up and verified; nothing of the conversation is lost."""
    whole = turns(broker)
    for case in (drill for drill in DRILLS if drill.end is DrillEnd.VERIFIED):
        run = await drilled(broker, case)
        assert (run["state"], await alert_state(broker), turns(broker)) == ("succeeded", "resolved", whole)
        broker.clock.move_to(broker.clock.now() + timedelta(hours=1))  # its limit is one cleanup an hour
        await broker.settle()


async def test_what_may_not_be_is_handed_to_the_data_lead(broker: TestBroker) -> None:
    """Nothing is cleaned up, and the next tier hears of it at once; what a person does resolves the alert."""
    page, turn, timeless = (drill for drill in DRILLS if drill.end is DrillEnd.ESCALATED)
    for case in (turn, timeless, page):
        run = await drilled(broker, case)
        assert (run["state"], await alert_state(broker)) == ("verifying", "firing")
        incident = await broker.get(f"/api/incidents/{run['incidentId']}")
        told = {entry["at"] for entry in incident["timeline"] if "@data-lead" in entry["text"]}
        assert run["startedAt"] in told
        if case is turn:
            shown = await kokino(broker, "foreign")
            assert (shown.returncode, "its execution gone is not there" in shown.stdout) == (0, True)
            done = await kokino(
                broker, "accept", "--all", "--yes", "--reason", "we know of it", "--by", "ada"
            )
            assert (done.returncode, "1 foreign turn accepted" in done.stdout) == (0, True), done.stderr
            again = await kokino(broker, "accept", turns(broker)[0], "--reason", "so do I", "--by", "bob")
            assert again.stdout == f"{turns(broker)[0]} was accepted already by ada.\n"
            [one] = (await broker.get("/api/integrity/foreign-turns"))["items"]
            assert (one["accepted"]["by"], one["accepted"]["reason"]) == ("ada", "we know of it")
        elif case is timeless:
            plant(broker, TIMED)
            await broker.get("/api/integrity/check")
        if case is not page:
            await broker.settle()
            assert await alert_state(broker) == "resolved"
    ready = await broker.get("/readyz")
    check_id = (await broker.get("/api/integrity/stats?limit=1"))["lastCheck"]["checkId"]
    assert ready["integrity"] == f"damaged: found by the integrity check {check_id}"
    refused = await broker.http.post("/api/integrity/cleanup")
    assert (refused.status_code, refused.json()["error"]) == (409, "conflict")
    assert "kokino integrity restore" in refused.json()["detail"]


async def test_the_night_finds_damage_and_backs_up_what_is_whole(broker: TestBroker) -> None:
    """Once each night; a night that was missed is made up for at the next start."""
    await broker.fast_forward(days=1)
    stats = await broker.get("/api/integrity/stats")
    assert [(one["trigger"], one["passed"]) for one in stats["history"]] == [("nightly", True)]
    assert stats["nextCheckAt"] == "2026-01-07T03:30:00.000Z"
    assert [backup["why"] for backup in stats["backups"]] == ["nightly"]
    await broker.stop()
    plant(broker, ORPHAN.format("lost", 1))
    broker.clock.move_to(broker.clock.now() + 3 * DAY)
    await broker.start()
    await broker.settle()
    stats = await broker.get("/api/integrity/stats")
    assert [(one["trigger"], one["passed"]) for one in stats["history"]][-2:] == [
        ("nightly", False),
        ("nightly", True),
    ]
    assert len([one for one in stats["backups"] if one["why"] == "nightly"]) == 1


def kokino(broker: TestBroker | None, *arguments: str) -> Any:
    """A command of the terminal's user, 80 columns wide."""
    url = {} if broker is None else {"KOKINO_URL": broker.url}
    return asyncio.to_thread(
        subprocess.run,
        [str(KOKINO), "integrity", *arguments],
        env={**os.environ, **url, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


async def test_the_command_line_shows_and_cleans(broker: TestBroker) -> None:
    """Within 80 columns; nothing is changed by a look or a dry run."""
    plant(
        broker,
        ORPHAN.format("lost", 1),
        # Not an old one, which retention may take away meanwhile.
        TRANSITION.format(to_ms(broker.clock.now())),
    )
    check = await kokino(broker, "check")
    assert (check.returncode, "orphaned turn" in check.stdout) == (1, True), check.stderr
    assert max(map(len, check.stdout.splitlines())) <= 80
    dry = await kokino(broker, "cleanup", "--dry-run")
    assert (dry.returncode, "1 row would be deleted" in dry.stdout) == (1, True), dry.stderr
    assert max(map(len, dry.stdout.splitlines())) <= 80
    done = json.loads((await kokino(broker, "cleanup", "--yes", "--format", "json")).stdout)
    assert (done["deleted"], done["passed"], len(done["refused"])) == (1, False, 1)
    assert len(turns(broker)) == 4
    plant(broker, "DELETE FROM alert_transitions WHERE transition_id = 99")
    plant(broker, *(ORPHAN.format(f"lost-{number}", number) for number in range(11)))
    refused = await kokino(broker, "cleanup", "--yes")
    assert (refused.returncode, "--max-delete 11" in " ".join(refused.stderr.split())) == (1, True)
    assert (await kokino(broker, "cleanup", "--yes", "--max-delete", "11")).returncode == 0
    assert (await broker.get("/api/integrity/check"))["passed"]
    first = turns(broker)[0]
    plant(broker, STRAY.format(first))
    shown = await kokino(broker, "foreign")
    assert max(map(len, shown.stdout.splitlines())) <= 80
    removed = await kokino(broker, "remove", first, "--yes", "--reason", "a test's")
    assert (removed.returncode, "The database is whole." in removed.stdout) == (0, True), removed.stderr
    assert first not in turns(broker)
    stats = await kokino(broker, "stats")
    assert "cleanup" in stats.stdout
    assert "rather restore another" in " ".join(stats.stdout.split())
    assert max(map(len, stats.stdout.splitlines()[:-1])) <= 80


async def test_no_cleanup_is_offered_where_a_value_cannot_be_read(broker: TestBroker) -> None:
    """It is named, a cleanup that is asked for all the same says why there is none, and nothing is lost."""
    before = turns(broker)
    plant(broker, NO_TIME.format(before[0]), ORPHAN.format("lost", 1))
    check = await kokino(broker, "check")
    told = " ".join(check.stdout.split())
    assert "unreadable value 1 1 row of turns: the value of said_at is none that it may have" in told
    assert "Not checked: conversations, to the end: a value there cannot be read." in told
    assert "cleanup --dry-run" not in told
    refused = await kokino(broker, "cleanup", "--yes")
    assert (refused.returncode, "nothing was cleaned up: 1 row of" in refused.stderr) == (1, True)
    assert len(turns(broker)) == len(before) + 1


async def looks_without_a_broker(home: Path, backup: Path) -> None:
    """What is damaged is named and the backups are listed; a restore of nothing asks nobody."""
    check = await kokino(None, "check", "--home", str(home))
    assert (check.returncode, check.stdout.startswith("Damaged: ")) == (1, True), check.stderr
    stats = await kokino(None, "stats", "--home", str(home))
    assert (stats.returncode, backup.name in stats.stdout) == (0, True), stats.stderr
    missing = await kokino(None, "restore", str(backup) + ".gone", "--home", str(home))
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "there is no such file" in " ".join(missing.stderr.split())


async def test_a_damaged_database_is_restored_from_a_backup(broker: TestBroker) -> None:
    """With the broker stopped; what was there is kept, and the broker that starts then is whole."""
    made = await asyncio.to_thread(recovery.back_up, broker.home, {}, now=broker.clock.now())
    [listed] = (await broker.get("/api/integrity/stats"))["backups"]
    assert listed["path"] == str(made.path)
    before = turns(broker)
    assert (await broker.execute("writer")).status_code == 200
    await broker.stop()
    tear_page(database(broker), "turns")
    damaged = content(database(broker))
    await looks_without_a_broker(broker.home, made.path)
    restored = await kokino(None, "restore", made.path.name, "--home", str(broker.home), "--yes")
    assert restored.returncode == 0, restored.stderr
    kept = restored.stdout.splitlines()[1].split()[1]
    assert content(Path(kept)) == damaged
    await broker.start()
    assert (await broker.get("/api/integrity/check"))["passed"]
    assert turns(broker) == before
    assert (await broker.execute("writer")).status_code == 200
