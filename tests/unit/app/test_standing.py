"""What a restart may change, and what it may not."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kokino.app.settings import check
from kokino.app.standing import NAMES, Standing, differences
from kokino.config import Config

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def standing(values: dict[str, dict[str, object]] | None = None, **asked: object) -> Standing:
    """What a configuration with these sections asks for."""
    environment = {"KOKINO_DATABASE_URL": str(asked.pop("database"))} if "database" in asked else {}
    checked = check(Config(Path("/home"), values=values or {}), environment, now=NOW)
    return Standing.of(checked, environment, **{"host": None, "port": None, **asked})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sections", "asked", "changed"),
    [
        pytest.param({}, {}, [], id="nothing"),
        pytest.param({"server": {"drain": "1s"}}, {}, [], id="what a new broker takes up"),
        pytest.param({"server": {"port": 5050}}, {}, [], id="a default, written out"),
        pytest.param({"server": {"port": 5051}}, {}, ["port"], id="the port"),
        pytest.param({"server": {"host": "localhost"}}, {}, ["host"], id="the host"),
        pytest.param({"server": {"port": 5051}}, {"port": 5050}, [], id="the command line goes first"),
        pytest.param({"storage": {"url": "sqlite:////x.db"}}, {}, ["database"], id="the database"),
        pytest.param({}, {"database": "postgresql://u:p@h/d"}, ["database"], id="the database, from outside"),
    ],
)
def test_a_restart_changes_all_but_what_two_brokers_share(
    sections: dict[str, dict[str, object]], asked: dict[str, object], changed: list[str]
) -> None:
    """What differs is named as the writer would spell it."""
    assert differences(standing().dumps(), standing(sections, **asked)) == [NAMES[fact] for fact in changed]


def test_wardens_of_two_languages_are_told_apart() -> None:
    """A warden outlives its broker, and the next one must be able to speak with it."""
    after = dataclasses.replace(standing(), protocol=0)
    assert differences(standing().dumps(), after) == [NAMES["protocol"]]


def test_brokers_of_two_versions_compare_what_both_know() -> None:
    """A fact that was added or dropped stops no update."""
    known = json.loads(standing().dumps())
    del known["protocol"]
    assert differences(json.dumps({**known, "colour": "red"}), standing()) == []


def test_no_password_is_handed_on() -> None:
    """The check of what comes next is told of the database by a hash."""
    assert "hunter2" not in standing(database="postgresql://me:hunter2@db/kokino").dumps()
