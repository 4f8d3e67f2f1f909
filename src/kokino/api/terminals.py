"""``/agents/{id}/terminal``: where an agent's CLI can be watched while it is worked in tmux."""

from __future__ import annotations

from kokino.agents.service import required
from kokino.api.routing import router_of
from kokino.api.services import Given
from kokino.api.shapes import Shape
from kokino.errors import Conflict

router = router_of("agents")


class TerminalShape(Shape):
    """An agent's terminal, in the broker's own tmux server."""

    agent_id: str
    #: The server's socket, on the broker's machine and for its user alone.
    socket: str
    #: tmux's name of the session that holds its window.
    session: str
    #: What shows it, without a way to type; without ``-r`` it is typed into.
    command: list[str]


@router.get("/agents/{agent_id}/terminal")
async def terminal(agent_id: str, given: Given) -> TerminalShape:
    """How to watch the agent's CLI; 409 where it has had no execution in tmux since the broker started."""
    await given.storage.read(lambda conn: required(conn, agent_id))
    server = given.executions.runner.workshop.terminals
    shown = server.shown(agent_id)
    if shown is None:
        raise Conflict(
            f"agent {agent_id!r} has no terminal: nothing of it has run in tmux since the tmux server started"
        )
    command = ["tmux", "-S", str(server.socket), "attach-session", "-r", "-t", shown.session]
    return TerminalShape(agent_id=agent_id, socket=str(server.socket), session=shown.session, command=command)
