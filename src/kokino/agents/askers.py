"""What the broker's own agents are called that ask whether something works again."""

from __future__ import annotations

from hashlib import sha256

from kokino.agents.model import PROBE_AGENT

#: Characters of an agent's id.
LONGEST_ID = 128


def asking(name: str) -> str:
    """The id of the broker's agent that asks; one that would be too long ends in a mark of the whole."""
    whole = f"{PROBE_AGENT}{name}"
    return whole if len(whole) <= LONGEST_ID else f"{whole[:111]}-{sha256(name.encode()).hexdigest()[:16]}"


def named(cli_type: str, agent_id: str | None) -> str:
    """What its folder, and the broker's agent that asks, are called after: a CLI type, or one agent."""
    return cli_type if agent_id is None else f"agent.{agent_id}"
