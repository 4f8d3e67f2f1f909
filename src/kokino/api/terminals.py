"""``/agents/{id}/terminal``: where an agent's CLI can be watched while it is worked in tmux."""

from __future__ import annotations

from sqlalchemy import Connection

from kokino.agents.service import required
from kokino.api.routing import router_of
from kokino.api.services import Given
from kokino.api.shapes import Shape, Time
from kokino.errors import Conflict
from kokino.executions import store
from kokino.executions.model import Execution, State

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
    #: An execution runs in it; else it shows the last screen of a CLI that has ended. Between two tries of an
    #: execution nothing runs, and `state` is ``running``.
    running: bool
    #: What ran in it last, and how that ended; all null where nothing is kept of it.
    execution_id: str | None
    state: str | None
    kind: str | None
    ended_at: Time | None


@router.get("/agents/{agent_id}/terminal")
async def terminal(agent_id: str, given: Given) -> TerminalShape:
    """How to watch the agent's CLI, and whether one runs there.

    409 where it has had no execution in tmux since the broker started.
    """

    def read(conn: Connection) -> Execution | None:
        required(conn, agent_id)
        return store.last_in_terminal(conn, agent_id)

    last = await given.storage.read(read)
    runner = given.executions.runner
    server = runner.workshop.terminals
    shown = server.shown(agent_id)
    if shown is None:
        raise Conflict(
            f"agent {agent_id!r} has no terminal: nothing of it has run in tmux since the tmux server started"
        )
    command = ["tmux", "-S", str(server.socket), "attach-session", "-r", "-t", shown.session]
    return TerminalShape(
        agent_id=agent_id,
        socket=str(server.socket),
        session=shown.session,
        command=command,
        running=last is not None and last.state is State.RUNNING and not runner.is_pausing(last.execution_id),
        execution_id=last and last.execution_id,
        state=last and last.state.value,
        kind=last.kind.value if last and last.kind else None,
        ended_at=last and last.ended_at,
    )
