"""The page about the scripted agents tells of every directive, and of none that does not exist."""

import re
from datetime import UTC, datetime
from pathlib import Path

from kokino.agents.drivers.scripted import PROGRAM
from kokino.app.settings import check
from kokino.config import FILE_NAME, load
from kokino.testing.scripted_acp_agent import AcpScript
from kokino.testing.scripted_agent import Script

PAGE = Path(__file__).resolve().parents[3] / "docs" / "scripted-agent.md"


def test_every_directive_has_its_heading_and_every_heading_its_directive() -> None:
    """The headings are the directives' own usage lines, one for one."""
    headings = re.findall(r"^### `(.+)`$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert sorted(headings) == sorted(directive.usage for directive in Script.DIRECTIVES.values())


def test_the_words_that_only_a_dialogue_knows_have_theirs() -> None:
    """One level below, and only those: the others hold for both agents."""
    headings = re.findall(r"^#### `(.+)`$", PAGE.read_text("utf-8"), re.MULTILINE)
    own = {directive.usage for directive in AcpScript.DIRECTIVES.values()}
    assert sorted(headings) == sorted(own - {directive.usage for directive in Script.DIRECTIVES.values()})


def test_every_variable_that_is_read_is_on_the_page() -> None:
    """Each KOKINO_ variable of the program has its row, and the page names no other."""
    documented = re.findall(r"^\| `(KOKINO_\w+)` \|", PAGE.read_text("utf-8"), re.MULTILINE)
    files = [PROGRAM.with_name(f"scripted_{part}.py") for part in ("agent", "terminal")]
    source = "\n".join(file.read_text("utf-8") for file in files)
    read = re.findall(r'os\.environ\.get\("(KOKINO_\w+)"', source)
    assert sorted(documented) == sorted(read)


def test_the_example_is_a_whole_configuration(tmp_path: Path) -> None:
    """Whoever copies it has an agent."""
    [example] = re.findall(r"^```toml\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / FILE_NAME).write_text(example, encoding="utf-8")
    checked = check(load(tmp_path), {}, now=datetime(2026, 1, 5, 9, 0, tzinfo=UTC))
    assert [agent.cli_type for agent in checked.agents] == ["reviewer"]
