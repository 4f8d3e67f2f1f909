"""docs/running.md and the systemd unit tell what the program does."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import typer
from typer.main import get_command

from kokino.app.handover import SIGNALS
from kokino.app.settings import SHORTEST_KEPT, ProcessSettings, ServerSettings, StorageSettings
from kokino.cli import app
from kokino.telemetry.retention import AT_ONCE

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
UNIT = (ROOT / "contrib" / "kokino.service").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
#: ``kokino sessions list --json``, in a page's code and in a unit's lines.
CALL = re.compile(r"(?:^|`|/)kokino ([a-z]+(?: [a-z]+)?)((?: --[a-z-]+)*)", re.MULTILINE)


def unknown_calls(text: str) -> list[str]:
    """Commands, subcommands and options that the program does not have."""
    root = get_command(app)
    assert isinstance(root, typer.core.TyperGroup)
    unknown = []
    for words, options in CALL.findall(text):
        name, _, rest = words.partition(" ")
        command = root.commands.get(name)
        if isinstance(command, typer.core.TyperGroup):
            command = command.commands.get(rest)
        known = {option for parameter in getattr(command, "params", ()) for option in parameter.opts}
        if command is None or not set(options.split()) <= known:
            unknown.append(f"{words}{options}")
    return unknown


def settings() -> dict[str, str]:
    """The unit's settings; of one that comes again, the last."""
    lines = [line for line in UNIT.splitlines() if "=" in line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_every_command_in_the_pages_exists() -> None:
    """With its options; and a wrong one is seen."""
    assert len(CALL.findall(PAGE)) > 4
    assert [unknown_calls(text) for text in (PAGE, UNIT, README)] == [[], [], []]
    assert unknown_calls("`kokino restrat`\nkokino serve --chekc") == ["restrat", "serve --chekc"]


def test_the_defaults_that_the_page_names_are_the_programs() -> None:
    """20 seconds of drain, 30 of hold."""
    assert ServerSettings().drain.total_seconds() == 20
    assert ProcessSettings().hold.total_seconds() == 30
    assert "`server.drain`, 20 seconds unless" in PAGE
    assert "`process.hold`, 30 seconds unless" in PAGE


def test_the_lengths_that_rows_are_kept_for_are_the_programs() -> None:
    """Each with its setting, and the number of rows that go at a time."""
    defaults = StorageSettings()
    for name in ("keep_events", "keep_rollups", "keep_history"):
        assert f"| {getattr(defaults, name).days} days | `storage.{name}` |" in PAGE
    assert f"below {SHORTEST_KEPT.days} days" in PAGE
    assert f"deleted {AT_ONCE} at a time" in PAGE


def test_the_unit_leaves_agents_to_the_broker() -> None:
    """What in it must stay is in it, and the page says so."""
    found = settings()
    assert signal.SIGUSR2 in SIGNALS
    assert found["ExecReload"] == "kill -USR2 $MAINPID"
    for wanted in (
        "KillMode=process",
        "Restart=on-failure",
        "OOMPolicy=continue",
        "RuntimeDirectoryPreserve=yes",
    ):
        assert found[wanted.partition("=")[0]] == wanted.partition("=")[2]
        assert f"`{wanted}`" in PAGE
    assert float(found["RestartSec"]) < ProcessSettings().hold.total_seconds() / 2
    assert float(found["TimeoutStopSec"]) > ServerSettings().drain.total_seconds()


def test_the_readme_leads_to_the_page() -> None:
    """Whoever runs a broker for others finds it."""
    assert "(docs/running.md)" in README
