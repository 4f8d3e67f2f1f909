"""The drivers by name: what ``[cli_types.NAME] driver = ...`` may say."""

from __future__ import annotations

from collections.abc import Iterable

from kokino.agents.drivers.acp.driver import Acp
from kokino.agents.drivers.claude_code import ClaudeCode
from kokino.agents.drivers.codex import Codex
from kokino.agents.drivers.contract import Driver
from kokino.agents.drivers.factory_droid import FactoryDroid
from kokino.agents.drivers.gemini import Gemini
from kokino.agents.drivers.opencode import OpenCode
from kokino.agents.drivers.qwen import Qwen
from kokino.agents.drivers.scripted import Scripted
from kokino.agents.names import in_full
from kokino.errors import Fault, Invalid

#: The drivers of one CLI each. A new one is written in a file of its own and named here.
CLIS: tuple[Driver, ...] = (
    ClaudeCode(),
    Codex(),
    FactoryDroid(),
    Gemini(),
    OpenCode(),
    Qwen(),
    Scripted(),
)
#: Every driver there is. Behind the protocol may be any of these CLIs, with its own flags.
DRIVERS: dict[str, Driver] = {driver.name: driver for driver in (Acp(CLIS), *CLIS)}


def driver_named(name: str) -> Driver:
    """The driver of that name or alias; `Invalid` names those that exist."""
    name = in_full(name)
    if name not in DRIVERS:
        message = f"{name!r} is no driver; choose one of: {', '.join(sorted(DRIVERS))}"
        raise Invalid(message, [Fault(field="driver", message=message)])
    return DRIVERS[name]


def load(names: Iterable[str]) -> None:
    """Load all that these drivers need. Some of it takes a second: better now than while executions wait."""
    for name in set(names):
        driver_named(name).reader()
