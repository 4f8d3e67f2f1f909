"""What an agent's CLI is started with: the one place that says which variables go before which."""

from __future__ import annotations

from collections.abc import Mapping

from kokino.agents.model import CliType


def environment_of(
    inherited: Mapping[str, str], cli_type: CliType, own: Mapping[str, str] | None = None
) -> dict[str, str]:
    """What every agent inherits, then its CLI type's variables, then its own where it runs on its own CLI."""
    return {**inherited, **cli_type.env, **(own or {})}
