"""The configuration file: what is read, and where its faults are said to be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokino.config import FILE_NAME, Config, Faults, Length, Settings, load, locate
from kokino.errors import ConfigInvalid, Fault
from kokino.lengths import parse_length


class Door(Settings):
    """A section of the test's own."""

    width: int = 80
    closes_after: Length = timedelta(seconds=5)
    colour: str


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[[str], Config]:
    """Reads a text as ``kokino.toml``."""

    def read(text: str) -> Config:
        (tmp_path / FILE_NAME).write_text(text, encoding="utf-8")
        return load(tmp_path)

    return read


def faults_of(text: str, read: Callable[[str], object]) -> list[Fault]:
    """The faults that reading it raises."""
    with pytest.raises(ConfigInvalid) as caught:
        read(text)
    return list(caught.value.faults)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("30s", 30), ("1.5m", 90), ("2 h", 7200), (" 1d ", 86400), ("1w", 604800), ("0s", 0)],
)
def test_a_length_is_a_number_with_a_unit(text: str, seconds: float) -> None:
    """Every unit means what it says, with or without room around it."""
    assert parse_length(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("value", ["30", "s", "-1s", "1y", "1h30m", "", 5.5, None, "9" * 30 + "w"])
def test_anything_else_is_no_length(value: object) -> None:
    """A bare number has no unit to guess; a length beyond all calendars is a mistake like any other."""
    with pytest.raises(ValueError, match="must be a length of time"):
        parse_length(value)


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    """A home folder with nothing in it is a whole configuration."""
    config = load(tmp_path)
    assert config.file is None
    assert config.section("server").values == {}
    assert config.sections("agents") == []


def test_a_section_is_read_into_its_model(loaded: Callable[[str], Config]) -> None:
    """What stands there comes back typed; what does not is the model's default."""
    faults = Faults()
    door = loaded('[door]\ncolour = "red"\ncloses_after = "1m"\n').section("door").read(Door, faults)
    assert door == Door(colour="red", closes_after=timedelta(minutes=1))
    assert faults.found == []


def test_all_faults_of_a_section_are_collected_with_their_lines(loaded: Callable[[str], Config]) -> None:
    """Three mistakes are answered with all three, each at its line; what is missing, at the section's."""
    config = loaded('\n[door]\nwidht = 3\nwidth = "broad"\ncloses_after = 5\n')
    faults = Faults()
    assert config.section("door").read(Door, faults) is None
    with pytest.raises(ConfigInvalid) as caught:
        faults.raise_if_any()
    assert [(fault.line, fault.field) for fault in caught.value.faults] == [
        (2, "door.colour"),
        (3, "door.widht"),
        (4, "door.width"),
        (5, "door.closes_after"),
    ]
    assert caught.value.message.startswith("the configuration has 4 faults:\n")
    assert "did you mean 'width'?" in caught.value.message


def test_no_fault_raises_nothing() -> None:
    """An empty collection is a good configuration."""
    Faults().raise_if_any()


def test_a_word_that_is_no_section_is_a_fault(loaded: Callable[[str], Config]) -> None:
    """A misspelt section would otherwise be a silent default."""
    faults = loaded('[server]\nport = 1\n[sevrer]\nhost = "x"\n').unknown_sections()
    assert [(fault.field, fault.line) for fault in faults] == [("sevrer", 3)]
    assert "known: server, storage" in faults[0].message


@pytest.mark.parametrize(
    ("text", "field", "wanted"),
    [
        ('[agents]\nid = "a"\n', "agents", "[[agents]]"),
        ('agents = "a"\n', "agents", "[[agents]]"),
        ('agents = ["a"]\n', "agents", "[[agents]]"),
        ("server = 5050\n", "server", "[server]"),
        ('[[server]]\nhost = "x"\n', "server", "[server]"),
    ],
)
def test_a_section_of_the_wrong_form_is_a_fault(
    loaded: Callable[[str], Config], text: str, field: str, wanted: str
) -> None:
    """``[agents]`` for ``[[agents]]`` must not make all agents vanish without a word."""
    faults = loaded(text).unknown_sections()
    assert [(fault.field, fault.line) for fault in faults] == [(field, 1)]
    assert wanted in faults[0].message


def test_text_that_is_no_toml_is_told_with_its_line(loaded: Callable[[str], Config]) -> None:
    """The line is the parser's own."""
    [fault] = faults_of("[server]\nport = = 1\n", loaded)
    assert fault.line == 2
    assert fault.message.startswith("is not TOML")


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    """A file in another encoding is said to be that, not to be bad TOML."""
    (tmp_path / FILE_NAME).write_bytes(b'[server]\nhost = "\xff"\n')
    [fault] = faults_of("", lambda _: load(tmp_path))
    assert fault.message == "is not UTF-8 text"


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A folder of that name, for one."""
    (tmp_path / FILE_NAME).mkdir()
    [fault] = faults_of("", lambda _: load(tmp_path))
    assert fault.message == "cannot be read: Is a directory"


LOCATED = """\
# agents = "in a comment"

[server]
port = 1
[[agents]]
id = "a"
limits.timeout = "1s"

  [agents.env]
  HOME = "/tmp"

[[agents]]
"cwd" = "."
flags = [
  "--x",
]
[cli_types."of mine"]
env = { A = "1" }
note = '''
driver = "scripted"
'''
driver = "codex"
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("server", 3),
        ("server.port", 4),
        ("agents[0]", 5),
        ("agents[0].id", 6),
        ("agents[0].limits.timeout", 7),
        ("agents[0].env", 9),
        ("agents[0].env.HOME", 10),
        ("agents[1].cwd", 13),
        ("agents[1].flags", 14),
        ("cli_types.of mine", 17),
        ("cli_types.of mine.driver", 22),
    ],
)
def test_every_value_has_its_line(path: str, line: int) -> None:
    """Tables, arrays of them, tables below those, odd keys; what a long string holds is none."""
    assert locate(LOCATED)[path] == line


def test_what_stands_inside_a_value_has_the_line_of_the_value(loaded: Callable[[str], Config]) -> None:
    """The nearest thing around it that has a line of its own."""
    section = loaded('[[agents]]\nid = "a"\nflags = [\n  "--x",\n  5,\n]\n').sections("agents")[0]
    assert section.fault("flags.1", "must be text").line == 3
    assert section.fault("model", "is missing").line == 1


@given(st.text(alphabet="[]é.'\"\n=a# ") | st.text())
def test_no_text_is_too_odd_to_be_located(text: str) -> None:
    """Positions are found before anybody knows whether the file makes sense."""
    assert all(1 <= line <= text.count("\n") + 1 for line in locate(text).values())


def test_named_tables_are_walked_in_order(loaded: Callable[[str], Config]) -> None:
    """Each with its own path; what is no table is left out."""
    tables = loaded('[owners]\nx = 1\n[owners.a]\n[owners."@b"]\n').section("owners").tables()
    assert [(name, section.path) for name, section in tables] == [("a", "owners.a"), ("@b", "owners.@b")]
