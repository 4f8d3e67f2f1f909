"""Agents whose CLI asks nobody before it does anything, and the ways on which one becomes such an agent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from kokino.agents.drivers.registry import driver_named
from kokino.agents.drivers.spellings import is_weakened
from kokino.agents.model import Agent, CliType, Fallback, Permissions
from kokino.agents.routing import named_target

NO_VARIABLES: Mapping[str, str] = MappingProxyType({})
#: Raises where whoever asks may not bring about what the text names; it stands before "needs ...".
Vouch = Callable[[str], None]


def asks_nobody(cli_type: CliType, flags: Sequence[str] = (), env: Mapping[str, str] = NO_VARIABLES) -> bool:
    """True where a CLI of this type would ask nobody; `flags` and `env` are an agent's own.

    The CLI type's own count, though the file says them: whoever registers chooses the folder that they are
    let loose in.
    """
    words = (*cli_type.command[1:], *cli_type.flags, *flags)
    return is_weakened({**cli_type.env, **env}) or driver_named(cli_type.driver).skips_permissions(words)


def is_loose(agent: Agent, cli_types: Mapping[str, CliType]) -> bool:
    """True where the agent asks nobody on its own CLI type; one that is configured no more does nothing."""
    own = cli_types.get(agent.cli_type)
    return agent.permissions is Permissions.ALLOW or (
        own is not None and asks_nobody(own, agent.flags, agent.env)
    )


def is_let_loose(agent: Agent, cli_types: Mapping[str, CliType], target: str | None) -> bool:
    """True where the agent asks on its own CLI type, and would ask nobody once it is moved to `target`.

    An agent's own flags are not taken along.
    """
    other = cli_types.get(target or "")
    return other is not None and asks_nobody(other) and not is_loose(agent, cli_types)


def loosest(agent: Agent, cli_types: Mapping[str, CliType], fallbacks: Iterable[Fallback]) -> str | None:
    """What an agent that is about to be registered would run on and ask nobody; None where it always asks.

    That is its own CLI type, its fallback, or where one of `fallbacks`, which hold for it now, sends it.
    """
    if is_loose(agent, cli_types):
        return agent.cli_type
    targets = (agent.fallback, *(named_target(agent, fallback) for fallback in fallbacks))
    return next((target for target in targets if is_let_loose(agent, cli_types, target)), None)
