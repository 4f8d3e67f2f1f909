from __future__ import annotations

import re
from pathlib import Path

from kokino.playbooks.match import (
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_MEMBERS,
    ROW_METHODS,
    VALUE_METHODS,
    parse_expression,
)
from kokino.playbooks.model import BROKER_INPUTS, LABEL_INPUTS, DrillEnd, InjectionTarget, Section
from kokino.playbooks.parse import parse_playbook
from kokino.playbooks.steps import ATTRIBUTES

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "playbooks.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of the page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)


def test_the_whole_playbook_on_the_page_is_one() -> None:
    """An author who copies it starts without a fault."""
    (example,) = blocks("markdown")
    assert parse_playbook(example, file="docs/playbooks.md").patterns


def test_the_expressions_on_the_page_are_expressions() -> None:
    """Each line of the example can be copied into a match."""
    lines = [line for block in blocks("match") for line in block.splitlines()]
    assert lines
    assert all(parse_expression(line, steps=["by-cli"]) for line in lines)


def test_every_word_of_the_format_is_on_the_page() -> None:
    """Sections, attributes, methods, inputs, limits and the drill's words are all explained."""
    attributes = {name for names in ATTRIBUTES.values() for name in names}
    words = {
        *attributes,
        *ROW_METHODS,
        *VALUE_METHODS,
        *BROKER_INPUTS,
        *LABEL_INPUTS,
        *InjectionTarget,
        *DrillEnd,
    }
    missing = {word for word in words if not re.search(rf"`{re.escape(word)}[`(]", PAGE)}
    assert not missing
    assert ", ".join(Section) in PAGE
    for number, of in ((MAX_LENGTH, "characters"), (MAX_DEPTH, "levels"), (MAX_MEMBERS, "fields")):
        assert f"{number} {of}" in PAGE
