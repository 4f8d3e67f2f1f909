"""What runs beside an execution: the same prompt once more, by an agent of the broker's own.

Only the seam stands here; `kokino.shadow` fills it. The execution never waits for what runs beside it, and
what goes wrong there is no fault of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from kokino.agents.model import SHADOW_AGENT, Agent, shadow_of
from kokino.executions.model import Execution


class Companion(Protocol):
    """Runs prompts once more."""

    async def begin(self, execution: Execution, agent: Agent, is_wanted: Callable[[], bool]) -> None:
        """Begin to run its prompt once more, where that is asked for; soon, for the execution waits.

        `is_wanted` is false from when somebody wants the execution ended. Never raises.
        """
        ...

    async def tree_is_gone(self, execution: Execution) -> None:
        """Look at what the execution has left: its end is not yet written, and its agent not yet free.

        Never raises.
        """
        ...


def beside(execution_id: str) -> str:
    """The id of the execution that runs beside another."""
    return f"{execution_id}.shadow"


def owner_of(agent_id: str) -> str:
    """The agent that has to wait while this one is locked: itself, or the one whose prompts it runs again."""
    return agent_id.removeprefix(SHADOW_AGENT)


def lockers(agent_id: str) -> tuple[str, str]:
    """Whose locks keep an agent busy: both paths of one prompt are one piece of work."""
    return agent_id, shadow_of(agent_id)
