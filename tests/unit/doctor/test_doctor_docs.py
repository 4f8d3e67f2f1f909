"""docs/doctor.md and docs/environment-troubleshooting.md tell what the program does."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from kokino.agents.drivers.needs import InFile, InVariable
from kokino.agents.drivers.registry import DRIVERS
from kokino.doctor import disk, examiner, login, machine
from kokino.doctor.settings import DoctorSettings, DryRun
from kokino.executions.probes import PROMPT
from kokino.process import growth

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
TROUBLE = (ROOT / "docs" / "environment-troubleshooting.md").read_text(encoding="utf-8")
CHECKS = ("binary", "environment", "auth", "disk", "dryrun", "version")


def flat(text: str) -> str:
    """Without its line breaks."""
    return " ".join(text.split())


def anchor(heading: str) -> str:
    """As links name it."""
    return heading.lower().replace(" ", "-")


def test_every_check_is_explained_and_has_its_repair() -> None:
    """On both pages, with a heading that the table leads to."""
    rows = re.findall(r"^\| `([^`]+)` \| [^|]+ \| (?:yes|no)", PAGE, re.MULTILINE)
    assert tuple(rows) == CHECKS
    links = re.findall(r"^\| \[`([^`]+)`\]\(#([^)]+)\)", TROUBLE, re.MULTILINE)
    assert tuple(name for name, _ in links) == CHECKS
    headings = {anchor(found) for found in re.findall(r"^## (.+)$", TROUBLE, re.MULTILINE)}
    assert {place for _, place in links} | {"database-corruption"} <= headings


@pytest.mark.parametrize("name", [name for name, driver in DRIVERS.items() if driver.needs.package])
def test_every_way_to_log_in_is_told(name: str) -> None:
    """Variables, files, the variables that move them, and the command."""
    needs = DRIVERS[name].needs
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |"))
    variables = [way.name for way in needs.logins if isinstance(way, InVariable)]
    files = [way for way in needs.logins if isinstance(way, InFile)]
    wanted = [*variables, *(way.path for way in files), *(way.moved_by for way in files), needs.login_command]
    assert [word for word in wanted if f"`{word}`" not in row] == []


def test_the_numbers_on_the_page_are_the_programs() -> None:
    """Defaults of the settings, limits of disks and logins, what makes growth."""
    settings, page = DoctorSettings(), flat(PAGE)
    assert (settings.every.total_seconds(), settings.again.total_seconds()) == (3600, 300)
    assert "each hour, each 5 minutes while one is unwell" in page
    assert f"`doctor.timeout`, {settings.timeout.total_seconds():g} seconds unless said" in page
    assert f"within {settings.timeout.total_seconds():g} s" in TROUBLE
    assert [f"| `{word}` |" for word in DryRun if f"| `{word}` |" not in page] == []
    assert settings.dry_run is DryRun.VERSION
    assert f'"{PROMPT}"' in page
    assert f"{disk.FAILS_AT:.0%}".replace("%", " %") in page
    assert f"{disk.WARNS_AT:.0%}".replace("%", " %") in page
    assert f"ends within {login.SOON.days} days" in page
    assert f"At most {examiner.AT_ONCE} are started at a time" in page
    assert all(name in page for name in machine.PROGRAMS)
    assert f"at most {growth.MOST} samples" in page
    assert growth.LONGEST == 1800
    assert f"fewer than {growth.FEWEST} samples or less than a minute" in page
    assert growth.SHORTEST == 60
    assert f"at least {growth.LEAST_BYTES / 1e6:g} MB a minute" in page
    assert f"at least {growth.LEAST_SHARE * 100:g} % a minute" in page


def test_every_command_on_the_pages_exists() -> None:
    """With its options."""
    spec = importlib.util.spec_from_file_location("running_docs", ROOT / "tests/unit/test_running_docs.py")
    assert spec is not None
    assert spec.loader is not None
    running_docs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(running_docs)
    for page in (PAGE, TROUBLE):
        assert running_docs.CALL.findall(page)
        assert running_docs.unknown_calls(page) == []
        for script in re.findall(r"scripts/[\w.-]+", page):
            assert (ROOT / script).is_file()
        for place in re.findall(r"\]\(([\w-]+\.md)", page):
            assert (ROOT / "docs" / place).is_file()
