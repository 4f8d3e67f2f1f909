"""How the drivers start their CLIs, and how they are found."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kokino.agents.drivers.contract import Invocation
from kokino.agents.drivers.registry import DRIVERS, driver_named
from kokino.errors import Invalid

SESSION = "4abd6c4e-c8bf-4f1d-b9ec-cd8ca6e7dc74"
PROMPT = Path("/spool/prompt")


def invocation(**more: object) -> Invocation:
    """A first turn of a claude without any choice made."""
    fields = {"agent_id": "a", "command": ("claude",), "session_id": SESSION, "is_resume": False}
    return Invocation(**{**fields, "prompt_file": PROMPT, **more})  # type: ignore[arg-type]


def test_claude_begins_a_session_with_the_prompt_on_standard_input() -> None:
    """The first turn names its session; no flag is there that nobody configured."""
    command = driver_named("claude-code").command(invocation())
    assert command.argv == (
        "claude", "-p", "--output-format", "stream-json", "--verbose", "--session-id", SESSION,
    )  # fmt: skip
    assert command.stdin == PROMPT
    assert command.env == {"DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}


def test_claude_resumes_with_model_and_flags() -> None:
    """Later turns resume; the model and the configured flags come last, so that flags have the last word."""
    flags = ("--permission-mode", "acceptEdits")
    argv = driver_named("claude-code").command(invocation(is_resume=True, model="opus", flags=flags)).argv
    assert argv[5:] == ("--resume", SESSION, "--model", "opus", *flags)


def test_the_scripted_agent_is_run_by_this_python_from_its_file() -> None:
    """Its default command names an interpreter and a file that exist, and takes claude's arguments."""
    driver = driver_named("scripted")
    assert driver.default_command[0] == sys.executable
    assert Path(driver.default_command[-1]).is_file()
    argv = driver.command(invocation(command=driver.default_command)).argv
    assert argv[:4] == driver.default_command
    assert argv[4:] == driver_named("claude-code").command(invocation()).argv[1:]


def test_an_unknown_driver_is_told_with_those_that_exist() -> None:
    """Who misspells a driver reads what could have been meant."""
    with pytest.raises(Invalid, match=rf"'claud' is no driver; choose one of: {', '.join(sorted(DRIVERS))}"):
        driver_named("claud")


def test_each_driver_is_found_by_its_own_name_and_makes_fresh_readers() -> None:
    """Two executions never share a reader."""
    for name, driver in DRIVERS.items():
        assert driver.name == name
        assert driver.reader() is not driver.reader()


def test_a_driver_is_found_by_its_short_name() -> None:
    """``droid`` is what people call it."""
    assert driver_named("droid") is DRIVERS["factory-droid"]
