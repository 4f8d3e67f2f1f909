"""The page about drivers says of each what its code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kokino.agents.drivers.contract import Exit, Invocation
from kokino.agents.drivers.registry import DRIVERS
from kokino.agents.drivers.spellings import VARIABLES
from tests.fixtures import real_clis
from tests.fixtures.real_clis import RealCli
from tests.unit.agents.test_spellings import UNASKED

PAGE = Path(__file__).resolve().parents[3] / "docs" / "drivers.md"
PAGE_TEXT = PAGE.read_text("utf-8")
ROWS = {
    cells[0].strip("`"): cells
    for cells in (
        [cell.strip() for cell in row.strip("|").split("|")]
        for row in re.findall(r"^\| `.*$", PAGE.read_text("utf-8"), re.MULTILINE)
    )
    if len(cells) == 6
}
_SPANNING = re.MULTILINE | re.DOTALL
PINNED = {cli.name: cli.version for cli in vars(real_clis).values() if isinstance(cli, RealCli)}
SESSION = "4abd6c4e-c8bf-4f1d-b9ec-cd8ca6e7dc74"
every_row = pytest.mark.parametrize("name", sorted(ROWS))


def test_every_driver_of_a_real_cli_has_its_row() -> None:
    """And both tables tell of the same."""
    assert sorted(ROWS) == sorted(PINNED)
    assert set(ROWS) <= set(DRIVERS)
    told = re.findall(r"^\| `([\w-]+)` \| [A-Z]", PAGE.read_text("utf-8"), re.MULTILINE)
    assert sorted(told) == sorted(ROWS)


@every_row
def test_the_version_is_the_one_that_is_tested(name: str) -> None:
    """As the tests install it."""
    assert ROWS[name][1] == PINNED[name]


@every_row
def test_who_names_a_session_is_told(name: str) -> None:
    """Whoever does not name it leaves the id of the first turn out of its arguments."""
    first = Invocation(
        agent_id="a", command=(name,), session_id=SESSION, is_resume=False, prompt_file=Path("/prompt")
    )
    namer = "Kokino" if SESSION in DRIVERS[name].command(first).argv else "the CLI"
    assert ROWS[name][2] == namer


@every_row
def test_what_usage_counts_is_told(name: str) -> None:
    """Of the turn, or of the session so far."""
    counts_session = DRIVERS[name].reader().outcome(Exit(code=0)).counts_session
    assert ROWS[name][3] == ("session" if counts_session else "turn")


@every_row
def test_its_flags_skip_permissions(name: str) -> None:
    """Each that the page names is one that needs an admin's token."""
    flags = re.findall(r"`([^`]+)`", ROWS[name][5])
    assert flags
    assert [flag for flag in flags if not DRIVERS[name].skips_permissions([flag])] == []
    assert sorted(flags) == sorted(UNASKED[name]), "each that is known is named, and none besides"


def test_variables_that_weaken_permissions_are_told() -> None:
    """Each that needs an admin's token, and none besides."""
    told = re.search(
        r"^- The same holds for an agent with one of these variables: (.*?)\.$", PAGE_TEXT, _SPANNING
    )
    assert told
    assert set(re.findall(r"`([A-Z_]+)`", told[1])) == {
        name for names in VARIABLES.values() for name in names
    }


def test_files_that_the_page_names_are_there() -> None:
    """Whoever follows it finds what it points at."""
    root = PAGE.parents[1]
    places = [root, root / "tests/unit/agents", root / "src/kokino/agents/drivers"]
    names = re.findall(r"`([\w./]+\.py)`", PAGE.read_text("utf-8").replace("NAME.py", ""))
    assert names
    assert [name for name in names if not any((place / name).is_file() for place in places)] == []
