"""The commands of the specification, word for word, against the broker that `make run` starts."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.serving import Served, serving, until
from tests.acceptance.spec_availability import COMMANDS, EXCEPTIONS, OUTAGE, QUIET
from tests.acceptance.spec_sections import AGENT, INSTEAD, SECTIONS, Section
from tests.acceptance.spec_shell import ROOT, Shell, commands, follow

#: The specification's commands name this port. `make test` runs a file's tests in one worker, one by one.
PORT = 5050
INTEGRITY = commands("Data Integrity Failure (P1)")
CHECK, STATS = "1. Get integrity check results", "2. Identify affected conversations"
ORPHANS, CLEANUP = "3. View orphaned turns", "Run automated cleanup (if safe)"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Served]:
    """What `make run` starts, in a folder that has the repository's kokino.toml."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", PORT))
        if probe.getsockname()[1] != PORT:
            pytest.fail(f"port {PORT}, which the specification's commands name, is in use: stop its user")
    toml = (ROOT / "kokino.toml").read_text(encoding="utf-8")
    with serving(tmp_path / "kokino", toml, options=()) as served:
        yield served


@pytest.fixture
def shell(broker: Served) -> Shell:
    """A shell in the broker's folder."""
    return Shell(broker)


def test_make_run_serves_the_repository_s_own_folder() -> None:
    """So the commands' relative paths, broker/logs/broker.log and incidents/, mean the broker's files."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = re.search(r"^run:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe is not None
    assert recipe[1].splitlines()[-1].strip() == "$(BIN)/kokino serve --home ."


def test_only_commands_that_do_not_concern_the_broker_are_left_out() -> None:
    """Every other command of the section is run, in a quiet broker and in an outage."""
    left_out = {title: COMMANDS[title] for title in COMMANDS if title in EXCEPTIONS}
    assert left_out == {title: command for title, (_, command) in EXCEPTIONS.items()}
    run = [title for title in COMMANDS if title not in EXCEPTIONS]
    assert run == list(QUIET) == list(OUTAGE)


def test_the_documentation_lists_every_command_of_the_section() -> None:
    """In the specification's order, those that are not run last."""
    page = (ROOT / "docs" / "specification.md").read_text(encoding="utf-8")
    listed = [row for row in re.findall(r"^\| ([^|]+?) \|", page, re.MULTILINE) if row in COMMANDS]
    assert listed == [*QUIET, *EXCEPTIONS]


def test_every_command_works_before_anything_has_run(shell: Shell) -> None:
    """A broker that knows nothing yet says so, in the same shapes."""
    follow(shell, COMMANDS, QUIET)


def test_every_command_does_what_the_section_says_in_an_outage(shell: Shell) -> None:
    """The writer fails, two others work: the section's commands find it, go round it and write it down."""
    for _ in range(2):
        assert shell.broker.execute("writer", "script: fail auth").status_code == 502
    for agent in ("reviewer", "tester"):
        assert shell.broker.execute(agent).status_code == 200
    assert shell.broker.get("/agents/sessions/status")[-1]["hasSession"]
    follow(shell, COMMANDS, OUTAGE)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.heading)
def test_only_commands_that_cannot_be_meant_for_kokino_are_left_out(section: Section) -> None:
    """Every other one is run; those that name another system's programs have a form of ours."""
    left_out = {title: command for title, command in section.commands.items() if title in section.exceptions}
    assert left_out == {title: command for title, (_, command) in section.exceptions.items()}
    assert [title for title in section.commands if title not in section.exceptions] == list(section.checks)


def test_the_documentation_lists_every_command_of_the_other_sections() -> None:
    """In the specification's order, with what Kokino has instead."""
    page = (ROOT / "docs" / "specification.md").read_text(encoding="utf-8")
    for section in SECTIONS:
        part = page.partition(f"## {section.heading}\n")[2].partition("\n## ")[0]
        rows = dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|", part, re.MULTILINE))
        listed = [title for title in rows if title in section.commands]
        assert listed == [*section.checks, *section.exceptions]
        for title in section.exceptions.keys() & INSTEAD.keys():
            assert INSTEAD[title] in rows[title]


def test_the_documentation_lists_the_commands_on_data_integrity() -> None:
    """In the specification's order."""
    page = (ROOT / "docs" / "specification.md").read_text(encoding="utf-8")
    listed = [row for row in re.findall(r"^\| ([^|]+?) \|", page, re.MULTILINE) if row in INTEGRITY]
    assert listed == list(INTEGRITY) == [CHECK, STATS, ORPHANS, CLEANUP]


def test_an_orphaned_turn_is_found_looked_at_and_cleaned_up(shell: Shell) -> None:
    """Every command of the section, first in a whole database, then with a turn that belongs to nothing."""
    assert shell.broker.execute("writer").status_code == 200
    assert shell.json(INTEGRITY[CHECK])["passed"]
    assert shell.run(INTEGRITY[ORPHANS]).stdout == ""
    orphan = "INSERT INTO turns VALUES ('t-1', 'gone', 1, NULL, 'user', 'lost', 0)"
    planted = shell.run(f'sqlite3 broker/data/kokino.db "{orphan}"')
    assert planted.returncode == 0, planted.stderr
    found = shell.json(INTEGRITY[CHECK])
    assert (found["passed"], found["counts"]["orphaned_turn"]) == (False, 1)
    assert found["issues"][0]["ids"] == ["t-1"]
    stats = shell.json(INTEGRITY[STATS])
    assert (stats["affected"], stats["turns"], stats["lastCheck"]["checkId"]) == (1, 3, found["checkId"])
    assert shell.run(INTEGRITY[ORPHANS]).stdout == "t-1|gone|lost\n"
    cleaned = shell.json(INTEGRITY[CLEANUP])
    assert (cleaned["deleted"], cleaned["passed"]) == (1, True)
    assert Path(cleaned["backup"]).is_relative_to(shell.folder / "broker" / "data" / "backups")
    assert shell.run(INTEGRITY[ORPHANS]).stdout == ""


def test_every_command_of_the_other_sections_works(shell: Shell) -> None:
    """While the writer hangs and two others are well: each section is followed from its first command on."""
    (shell.folder / "scripts").symlink_to(ROOT / "scripts")
    for agent in ("reviewer", "tester"):
        assert shell.broker.execute(agent).status_code == 200
    for section in SECTIONS:
        hanging = shell.broker.accept(AGENT, "script: emit I begin.; hang")
        until(lambda: _has_begun(shell))
        follow(shell, section.commands, section.checks)
        shell.broker.http.post(f"/executions/{hanging}/cancel")
        shell.broker.ended(hanging)


def test_what_stands_in_the_place_of_another_system_s_commands_works(shell: Shell) -> None:
    """From the broker's folder, as the others."""
    (shell.folder / "scripts").symlink_to(ROOT / "scripts")
    for title, command in INSTEAD.items():
        ran = shell.run(command)
        assert ran.returncode == 0, f"{title}: {ran.stderr}"


def _has_begun(shell: Shell) -> bool:
    """The writer has said something and is silent now."""
    rows = shell.broker.get("/agents/sessions/status")
    [writer] = [one for one in rows if one["agentId"] == AGENT]
    memory = [one["memoryMB"] for one in shell.broker.get("/agents/processes/status")]
    said = shell.broker.get(f"/agents/{AGENT}/logs?lines=9")["lines"]
    return writer["executing"] and any("I begin." in line["body"] for line in said[-3:]) and any(memory)
