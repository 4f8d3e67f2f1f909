"""How an agent is answered that asks for a permission."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from kokino.agents.drivers.acp.dialogue import MOST_ASKED
from kokino.agents.drivers.contract import PermissionOption, PermissionRequest
from kokino.errors import Conflict, Invalid
from tests.unit.agents.acp_peer import ALWAYS, NEVER, NO, ONCE, SESSION, Peer, a_permission, an_update


def answer(id: Any, option: str | None) -> dict[str, Any]:
    """What we answer: an option, or the protocol's word for none."""
    outcome = {"outcome": "cancelled"} if option is None else {"outcome": "selected", "optionId": option}
    return {"jsonrpc": "2.0", "id": id, "result": {"outcome": outcome}}


@pytest.mark.parametrize(
    ("permissions", "options", "chosen"),
    [
        ("allow", (ALWAYS, ONCE, NO), "once"),
        ("allow", (NO, ALWAYS), "always"),
        ("allow", (NO, NEVER), None),
        ("reject", (ONCE, NEVER, NO), "no"),
        ("reject", (ONCE, NEVER), "never"),
        ("reject", (ONCE, ALWAYS), None),
        ("reject", (), None),
    ],
)
def test_a_policy_takes_the_option_that_binds_least(
    permissions: str, options: tuple[dict[str, Any], ...], chosen: str | None
) -> None:
    """Once before always; where there is no such option, it is answered as cancelled, and never allowed."""
    peer = Peer(permissions=permissions).prompted()
    peer.says(a_permission(0, *options))
    assert peer.heard() == [answer(0, chosen)]
    assert peer.dialogue.pending is None


def test_who_is_to_be_asked_is_waited_for() -> None:
    """The request is shown with its options, and nothing is said until somebody has chosen."""
    peer = Peer().prompted()
    peer.says(a_permission("p-1", ONCE, NO, title="rm\n -rf  build"))
    options = (
        PermissionOption(id="once", name="Allow once", kind="allow_once"),
        PermissionOption(id="no", name="Reject", kind="reject_once"),
    )
    expected = PermissionRequest(id="p-1", title="rm -rf build", options=options)
    assert (peer.dialogue.pending, peer.heard()) == (expected, [])
    peer.dialogue.answer("no")
    assert (peer.dialogue.pending, peer.heard()) == (None, [answer("p-1", "no")])


def test_several_requests_are_answered_in_their_order() -> None:
    """Each answer is for the one that was shown."""
    peer = Peer().prompted()
    peer.says(a_permission(1, ONCE, NO, call="a"), a_permission(2, ONCE, NO, call="b"))
    for id in (1, 2):
        assert peer.dialogue.pending is not None
        assert peer.dialogue.pending.id == str(id)
        peer.dialogue.answer("once")
        assert peer.heard() == [answer(id, "once")]


def test_an_answer_that_is_no_option_changes_nothing() -> None:
    """Who mistypes reads what could have been meant; the request waits on."""
    peer = Peer().prompted()
    peer.says(a_permission(1, ONCE, NO))
    with pytest.raises(Invalid, match="'yes' is no option of this request; there are: once, no"):
        peer.dialogue.answer("yes")
    assert peer.dialogue.pending is not None
    assert peer.heard() == []


def test_an_answer_without_a_question_is_a_conflict() -> None:
    """Somebody else was faster."""
    with pytest.raises(Conflict, match="waits for no permission"):
        Peer().prompted().dialogue.answer("once")


@pytest.mark.parametrize(
    ("option", "running", "count"), [("once", 'make {"command":"make"}', 1), ("no", None, 0)]
)
def test_a_call_that_is_told_by_its_request_alone_runs_once_it_is_allowed(
    option: str, running: str | None, count: int
) -> None:
    """Qwen Code tells of a call only by asking; one that was rejected never ran."""
    peer = Peer().prompted()
    peer.says(a_permission(1, ONCE, NO))
    assert peer.dialogue.tools.count == 0
    peer.dialogue.answer(option)
    assert (peer.dialogue.tools.running, peer.dialogue.tools.count) == (running, count)


def test_a_rejected_call_runs_no_more() -> None:
    """Some agents say nothing further of it."""
    peer = Peer(permissions="reject").prompted()
    peer.says(an_update("tool_call", toolCallId="call-1", title="make"), a_permission(1, ONCE, NO))
    assert peer.dialogue.tools.running is None


def test_cancelling_answers_what_waits_and_what_comes_later() -> None:
    """The protocol wants each request answered as cancelled."""
    peer = Peer().prompted()
    peer.says(a_permission(1, ONCE, NO), a_permission(2, ONCE, NO))
    peer.dialogue.cancel()
    assert peer.dialogue.pending is None
    told = {"jsonrpc": "2.0", "method": "session/cancel", "params": {"sessionId": SESSION}}
    assert peer.heard() == [answer(1, None), answer(2, None), told]
    peer.says(a_permission(3, ONCE, NO))
    assert peer.heard() == [answer(3, None)]


@pytest.mark.parametrize("status", ["failed", "completed"])
def test_a_request_whose_call_has_ended_waits_no_more(status: str) -> None:
    """An agent that gives up asking and goes on is taken for none that waits; the next in line is shown."""
    peer = Peer().prompted()
    peer.says(a_permission(1, ONCE, NO, call="a"), a_permission(2, ONCE, NO, call="b"))
    peer.says(an_update("tool_call_update", toolCallId="a", status="in_progress"))
    assert peer.heard() == []
    peer.says(an_update("tool_call_update", toolCallId="a", status=status))
    assert peer.heard() == [answer(1, None)]
    assert peer.dialogue.pending is not None
    assert peer.dialogue.pending.id == "2"


def test_a_call_of_another_session_ends_nothing_here() -> None:
    """An agent below the agent may number its calls alike."""
    peer = Peer().prompted()
    peer.says(a_permission(1, ONCE, NO), an_update("tool_call", "sess-2", toolCallId="call-1", title="make"))
    peer.says(an_update("tool_call_update", "sess-2", toolCallId="call-1", status="failed"))
    assert peer.dialogue.pending is not None


def test_a_request_without_options_is_cancelled_at_once() -> None:
    """Nobody could ever answer it."""
    peer = Peer().prompted()
    peer.says(a_permission(1))
    assert (peer.dialogue.pending, peer.heard()) == (None, [answer(1, None)])


@pytest.mark.parametrize(
    ("id", "is_shown_as"), [(1.5, "1.5"), (None, "null"), ("\u00e9-1", "\u00e9-1"), ([1], "[1]")]
)
def test_an_id_of_any_kind_is_shown_and_echoed(id: Any, is_shown_as: str) -> None:
    """An agent waits for an answer with the id that it gave, whatever JSON-RPC thinks of that."""
    peer = Peer().prompted()
    peer.says(a_permission(id, ONCE, NO))
    assert peer.dialogue.pending is not None
    assert peer.dialogue.pending.id == is_shown_as
    peer.dialogue.answer("once")
    assert peer.heard() == [answer(id, "once")]


def test_so_many_wait_for_a_person_and_no_more() -> None:
    """An agent that asks without end fills no memory: what is too much is answered as cancelled."""
    peer = Peer().prompted()
    for id in range(MOST_ASKED + 2):
        peer.says(a_permission(id, ONCE, NO, call=str(id)))
    assert peer.heard() == [answer(MOST_ASKED, None), answer(MOST_ASKED + 1, None)]
    peer.dialogue.answer("no")
    assert peer.heard() == [answer(0, "no")]
    peer.says(a_permission("one more", ONCE, NO))
    assert peer.heard() == []


def test_a_request_is_kept_without_what_it_would_write() -> None:
    """A tool that writes files has them in its request, as input and again as a difference."""
    peer, text = Peer().prompted(), "x" * 100_000
    tracemalloc.start()
    try:
        for id in range(MOST_ASKED):
            peer.says(a_permission(id, ONCE, NO, call=str(id), rawInput={"content": text}))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < MOST_ASKED * len(text) / 10
