"""Agents that are started alike are looked at once, and told of together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from kokino.agents.model import Agent, CliType
from kokino.doctor.model import Check
from kokino.doctor.setting import Setting, settings_of, together

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
CODEX = CliType(name="codex", driver="codex", command=("codex",), env={"B": "type", "C": "type"})
INHERITED = {"A": "broker", "B": "broker"}


def agent(agent_id: str, cli_type: str = "codex", cwd: str = "/", **env: str) -> Agent:
    """An agent with variables of its own."""
    return Agent(agent_id=agent_id, cli_type=cli_type, cwd=Path(cwd), account="x", env=env, registered_at=NOW)


def settings(*agents: Agent, inherited: Mapping[str, str] = INHERITED) -> list[Setting]:
    """In what they are started."""
    return settings_of(CODEX, agents, inherited, Path("/broker"))


def test_each_environment_stands_for_all_who_share_it() -> None:
    """An agent's own variables go before its CLI type's, and those before the broker's."""
    found = settings(agent("a"), agent("b", C="own"), agent("c"), agent("d", "gemini"))
    assert [(one.names, dict(one.env)) for one in found] == [
        ("a, c", {"A": "broker", "B": "type", "C": "type"}),
        ("b", {"A": "broker", "B": "type", "C": "own"}),
    ]


def test_an_agent_that_repeats_what_it_inherits_is_started_like_the_others() -> None:
    """Two looks at the same environment would be the same errand, and the second could not be started."""
    [found] = settings(agent("a"), agent("b", A="broker"), agent("c", B="type"))
    assert found.names == "a, b, c"


def test_a_cli_type_without_agents_has_one_setting_all_the_same() -> None:
    """In the broker's home."""
    [found] = settings(agent("d", "gemini"))
    assert (found.agents, found.cwd) == ((), Path("/broker"))


def test_checks_of_several_settings_are_told_as_one() -> None:
    """Whom a failure concerns is named, unless it concerns all alike."""
    one, two = settings(agent("a"), agent("b", C="own"))
    good = Check(name="auth", passed=True, message="by A")
    bad = Check(name="auth", passed=False, message="nobody", mend="log in", warnings=("w",))
    mixed = together([(one, good), (two, bad)])
    assert (mixed.passed, mixed.message, mixed.mend, mixed.warnings) == (False, "b: nobody", "log in", ("w",))
    assert together([(one, bad), (two, bad)]).message == "nobody"
    assert together([(one, good), (two, replace(good, message="by B"))]).message == "a: by A; b: by B"
    named = replace(bad, message="b: no folder")
    assert together([(one, good), (two, named)]).message == "b: no folder"
    other = replace(bad, mend="log in elsewhere")
    assert together([(one, bad), (two, other)]).mend == "log in && log in elsewhere"
    assert together([(one, bad), (two, bad)]).mend == "log in"
    optional = replace(bad, message="old", is_required=False)
    assert together([(one, optional), (two, bad)]).is_required
