"""Where agents work: all that is wrong with it is told at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from kokino.agents.model import Agent, CliType, Mode
from kokino.doctor.environment import check_environment
from kokino.doctor.model import Check
from kokino.doctor.setting import settings_of

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
CODEX = CliType(name="codex", driver="codex", command=("codex",))
GEMINI = CliType(name="gemini", driver="gemini", command=("gemini",))


def agent(agent_id: str, cwd: Path, mode: Mode = Mode.HEADLESS) -> Agent:
    """An agent that works there."""
    return Agent(agent_id=agent_id, cli_type="", cwd=cwd, account="x", mode=mode, registered_at=NOW)


def check(cli_type: CliType, home: Path, *agents: Agent, **env: str) -> Check:
    """What is found of these agents of a CLI type, with that HOME."""
    own = [replace(one, cli_type=cli_type.name) for one in agents]
    [setting] = settings_of(cli_type, own, {"HOME": str(home), **env}, home)
    return check_environment(setting)


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """Whoever mends one thing must not find the next one at the next look; one command makes all folders."""
    gone, home = tmp_path / "my shop", tmp_path / "home"
    file = tmp_path / "file"
    file.touch()
    cli_type = replace(GEMINI, no_terminal="there is no tmux on PATH")
    found = check(cli_type, home, agent("a", gone), agent("b", file), agent("c", gone, Mode.TMUX))
    assert found.message.split("; ") == [
        "agents that are worked in tmux cannot run (c): there is no tmux on PATH",
        f"a, c: {gone} is no folder that can be entered, create it or change cwd",
        f"b: {file} is no folder that can be entered, mend it or change cwd",
        f"HOME is {home}, which does not exist: create it, or set another in env",
    ]
    assert (found.passed, found.mend) == (False, f"mkdir -p {home} '{gone}'")
    assert "a, b, c: GEMINI_CLI_TRUST_WORKSPACE is not set" in found.warnings[0]


def test_folders_that_are_there_are_well(tmp_path: Path) -> None:
    """Nor does a CLI type without agents need any."""
    for agents in ([agent("a", tmp_path)], []):
        found = check(CODEX, tmp_path, *agents)
        assert (found.passed, found.message, found.mend) == (True, "all working directories are there", None)


def test_what_is_there_and_of_no_use_has_no_command(tmp_path: Path) -> None:
    """A file is somebody's: what is to become of it is said, and left to him."""
    file = tmp_path / "file"
    file.touch()
    found = check(CODEX, file, agent("a", file))
    assert f"a: {file} is no folder" in found.message
    assert f"HOME is {file}, where nothing can be written: mend it" in found.message
    assert (found.passed, found.mend) == (False, None)


def test_what_is_out_of_reach_is_not_said_to_be_missing(tmp_path: Path) -> None:
    """Nobody can tell what is there; to make it is no repair. Such a name is as unreachable for root too."""
    far = tmp_path / ("x" * 300)
    found = check(CODEX, far, agent("a", far))
    assert f"a: {far} is no folder that can be entered, mend it" in found.message
    assert f"HOME is {far}, where nothing can be written" in found.message
    assert (found.passed, found.mend) == (False, None)


def test_agents_that_are_worked_in_tmux_need_one(tmp_path: Path) -> None:
    """All their executions would be refused; the others of the CLI type do not care."""
    without = replace(CODEX, no_terminal="there is no tmux on PATH")
    typed, other = agent("writer", tmp_path, Mode.TMUX), agent("reviewer", tmp_path)
    assert check(without, tmp_path, other, typed).message == (
        "agents that are worked in tmux cannot run (writer): there is no tmux on PATH"
    )
    assert check(without, tmp_path, other).passed
    assert check(CODEX, tmp_path, typed).passed


def test_a_variable_without_which_a_cli_refuses_folders_is_warned_of(tmp_path: Path) -> None:
    """Unless a flag says the same."""

    def warned(cli_type: CliType, **env: str) -> tuple[str, ...]:
        return check(cli_type, tmp_path, agent("a", tmp_path), **env).warnings

    assert "a: GEMINI_CLI_TRUST_WORKSPACE is not set; it exits with 55" in warned(GEMINI)[0]
    assert warned(GEMINI, GEMINI_CLI_TRUST_WORKSPACE="true") == ()
    assert warned(replace(GEMINI, flags=("--skip-trust",))) == ()
