"""What one broker leaves in the environment for the next."""

from __future__ import annotations

import json
import socket
from dataclasses import asdict

import pytest

from kokino.app.handover import HANDOVER_VARIABLE, Handover
from kokino.app.server import CannotListen
from kokino.executions.bound import Bound, Tie

LOST = (Bound(execution_id="exec-1", agent_id="writer", by=Tie.TMUX),)


def test_the_next_broker_listens_at_the_same_socket() -> None:
    """It takes the descriptor, and the variable away: no agent inherits either."""
    environment: dict[str, str] = {}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        left = listener.dup()
        Handover(listener=left, executions=3, lost=LOST).leave(environment)
        assert left.get_inheritable()
        left.detach()  # as the start of another program does
        taken = Handover.taken(environment)
    assert taken is not None
    with taken.listener:
        assert taken.listener.getsockname() == address
        assert (taken.executions, taken.lost) == (3, LOST)
        assert not taken.listener.get_inheritable()
    assert environment == {}


@pytest.mark.parametrize("lost", [(), LOST])
def test_an_earlier_version_names_what_is_lost_in_the_variable_or_not_at_all(lost: tuple[Bound, ...]) -> None:
    """A restart goes to a new version, too."""
    named = {"lost": [asdict(one) for one in lost]} if lost else {}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        left = json.dumps({"listener": listener.dup().detach(), "executions": 1, **named})
        taken = Handover.taken({HANDOVER_VARIABLE: left})
    assert taken is not None
    with taken.listener:
        assert (taken.executions, taken.lost) == (1, lost)


def test_without_an_earlier_broker_there_is_nothing() -> None:
    """A first start binds a socket of its own."""
    assert Handover.taken({"HOME": "/root"}) is None


@pytest.mark.parametrize("left", ["", "x", "{}", '{"listener": 987654, "executions": 1}', "[]"])
def test_a_variable_that_somebody_else_set_is_refused(left: str) -> None:
    """The message says what to do."""
    with pytest.raises(CannotListen, match="unset it"):
        Handover.taken({HANDOVER_VARIABLE: left})
