"""Agents whose CLI asks nobody before it does anything, and the ways on which one becomes such an agent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kokino.agents.drivers.registry import driver_named
from kokino.agents.model import Agent, CliType, Fallback, Permissions

#: Raises where whoever asks may not bring about what the text names; it stands before "needs ...".
Vouch = Callable[[str], None]


def asks_nobody(cli_type: CliType, flags: Sequence[str] = ()) -> bool:
    """True where a CLI of this type would ask nobody; `flags` are an agent's own.

    The CLI type's flags count, though the file says them: whoever registers chooses the folder that they are
    let loose in.
    """
    return driver_named(cli_type.driver).skips_permissions((*cli_type.command[1:], *cli_type.flags, *flags))


def is_loose(agent: Agent, cli_types: Mapping[str, CliType]) -> bool:
    """True where the agent asks nobody on its own CLI type."""
    return agent.permissions is Permissions.ALLOW or asks_nobody(cli_types[agent.cli_type], agent.flags)


def is_let_loose(agent: Agent, cli_types: Mapping[str, CliType], target: str | None) -> bool:
    """True where the agent asks on its own CLI type, and would ask nobody once it is moved to `target`.

    An agent's own flags are not taken along.
    """
    other = cli_types.get(target or "")
    return other is not None and asks_nobody(other) and not is_loose(agent, cli_types)


def loosest(agent: Agent, cli_types: Mapping[str, CliType], fallbacks: Mapping[str, Fallback]) -> str | None:
    """What an agent that is about to be registered would run on and ask nobody; None where it always asks.

    That is its own CLI type, its fallback, or where the agents of its CLI type are sent at this moment.
    """
    if is_loose(agent, cli_types):
        return agent.cli_type
    sent_to = fallbacks[agent.cli_type].target if agent.cli_type in fallbacks else None
    target = agent.fallback or sent_to
    return target if is_let_loose(agent, cli_types, target) else None
