"""The Agent Client Protocol's dialogue: what we say when, and what an agent's words come to."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kokino
from kokino.agents.drivers.acp.dialogue import AcpDialogue
from kokino.agents.drivers.contract import Exit, Usage
from kokino.agents.drivers.tools import REMEMBERED
from kokino.agents.failures import FailureKind
from tests.unit.agents.acp_peer import (
    EARLIER,
    ONCE,
    SESSION,
    Peer,
    a_chunk,
    a_line,
    a_permission,
    an_update,
    initialized,
)

END = {"stopReason": "end_turn"}


def test_a_turn_is_opened_step_by_step() -> None:
    """Who we are, then a session in the working directory, then the prompt; each step waits for the last."""
    peer = Peer(prompt="Naïve 🦆")
    method, params = peer.asked()
    assert method == "initialize"
    assert params["protocolVersion"] == 1
    assert params["clientInfo"] == {"name": "kokino", "title": "Kokino", "version": kokino.__version__}
    assert peer.heard() == []
    peer.answers(initialized())
    assert peer.asked() == ("session/new", {"cwd": "/work", "mcpServers": []})
    peer.answers({"sessionId": SESSION})
    prompt = [{"type": "text", "text": "Naïve 🦆"}]
    assert peer.asked() == ("session/prompt", {"sessionId": SESSION, "prompt": prompt})
    assert (peer.dialogue.session_id, peer.dialogue.version) == (SESSION, "7.1")


def test_no_file_and_no_terminal_is_offered() -> None:
    """What an agent did by way of us would be done outside of its supervised tree."""
    _, params = Peer().asked()
    fs = {"readTextFile": False, "writeTextFile": False}
    assert params["clientCapabilities"] == {"fs": fs, "terminal": False}


def test_the_answer_to_the_prompt_is_the_proof_of_success() -> None:
    """Pieces are joined as they are; the exit code says nothing, the input is closed behind the last word."""
    peer = Peer().prompted()
    peer.says(a_chunk("It is "), a_chunk("done."))
    assert not peer.dialogue.is_final
    peer.answers(END)
    assert peer.dialogue.is_final
    outcome = peer.outcome(code=1)
    assert (outcome.kind, outcome.error, outcome.content) == (None, None, "It is done.")


def test_an_earlier_session_is_loaded_and_its_history_is_no_answer() -> None:
    """What is told again while a session loads was said in another turn: text, tools, all of it."""
    peer = Peer(resumes=EARLIER)
    peer.asked()
    peer.answers(initialized())
    loaded = {"cwd": "/work", "mcpServers": [], "sessionId": EARLIER}
    assert peer.asked() == ("session/load", loaded)
    peer.says(
        a_chunk("Remember.", EARLIER, "user_message_chunk"),
        a_chunk("I shall.", EARLIER),
        an_update("tool_call", EARLIER, toolCallId="old", title="make"),
    )
    peer.answers()
    assert peer.asked()[0] == "session/prompt"
    peer.says(a_chunk("A heron.", EARLIER))
    peer.answers(END)
    outcome = peer.outcome()
    assert (outcome.content, outcome.began_anew) == ("A heron.", None)
    assert (peer.dialogue.session_id, peer.dialogue.tools.count) == (EARLIER, 0)
    assert peer.dialogue.unknown_records == 0


def test_an_answer_of_null_is_an_empty_one() -> None:
    """Early agents answer session/load with null."""
    peer = Peer(resumes=EARLIER)
    peer.asked()
    peer.answers(initialized())
    peer.asked()
    peer.says(a_line(id=peer.last_id, result=None, error=None))
    assert peer.asked()[0] == "session/prompt"


def test_an_agent_that_cannot_load_works_in_a_new_session_and_that_is_told() -> None:
    """It is no failure: the prompt is answered, without what was said before."""
    peer = Peer(resumes=EARLIER)
    peer.asked()
    peer.answers(initialized(loads=False))
    assert peer.asked()[0] == "session/new"
    peer.answers({"sessionId": SESSION})
    peer.asked()
    peer.answers(END)
    assert peer.dialogue.session_id == SESSION
    assert peer.outcome().kind is None
    assert peer.outcome().began_anew == "the agent cannot load earlier sessions"


@pytest.mark.parametrize(
    ("why", "error"),
    [
        ("the protocol's own code", {"code": -32002, "message": "Resource not found"}),
        (
            "OpenCode's words",
            {
                "code": -32603,
                "message": "Internal error: OpenCode service failure",
                "data": {"service": "session"},
            },
        ),
        (
            "Gemini CLI's words",
            {
                "code": -32603,
                "message": "Internal error",
                "data": {"details": 'Invalid session identifier "x"'},
            },
        ),
        ("plain words", {"code": -32603, "message": "Session sess-0 not found"}),
        ("words with a quota in a path", {"code": -32603, "message": "no session found in /billing/quota"}),
        ("it only says that it can load", {"code": -32601, "message": "Method not found"}),
    ],
)
def test_a_session_that_is_not_known_any_more_is_replaced(why: str, error: dict[str, Any]) -> None:
    """Agents have no common word for it: by the protocol's code, or by words that are known."""
    peer = Peer(resumes=EARLIER)
    peer.asked()
    peer.answers(initialized())
    peer.asked()
    peer.answers(**error)
    assert peer.asked()[0] == "session/new", why
    peer.answers({"sessionId": SESSION})
    peer.asked()
    peer.answers(END)
    reason = str(peer.outcome().began_anew)
    assert reason.startswith(f"the agent could not load session {EARLIER}: ")
    assert error["message"] in reason


def test_a_load_that_fails_for_want_of_a_login_replaces_nothing() -> None:
    """The session is as good as it was."""
    peer = Peer(resumes=EARLIER)
    peer.asked()
    peer.answers(initialized())
    peer.asked()
    peer.answers(code=-32000, message="Authentication required")
    assert peer.heard() == []
    assert peer.outcome().kind is FailureKind.AUTH
    assert peer.outcome().began_anew is None


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": -32603, "message": "Internal error: database is locked"}, FailureKind.UNKNOWN),
        ({"code": -32603, "message": "Internal error: OpenCode service failure"}, FailureKind.UNKNOWN),
        ({"code": -32603, "message": "no space left", "data": {"file": "session.json"}}, FailureKind.UNKNOWN),
        ({"code": -32603, "message": "fetch failed"}, FailureKind.NETWORK),
    ],
)
def test_a_session_that_cannot_be_loaded_just_now_is_kept(error: dict[str, Any], kind: FailureKind) -> None:
    """What passes must not cost what was said before: it fails, and the next prompt tries again."""
    peer = Peer(resumes=EARLIER)
    peer.asked()
    peer.answers(initialized())
    peer.asked()
    peer.answers(**error)
    assert peer.heard() == []
    outcome = peer.outcome()
    assert (outcome.kind, outcome.began_anew, outcome.session_is_alive) == (kind, None, True)
    assert peer.dialogue.session_id is None
    assert error["message"] in str(outcome.error)


@pytest.mark.parametrize("broken", [b"\\ud83d", b"\\udc00x", b"\xff", b"\xf0\x9f\x98"])
def test_half_a_character_costs_no_message(broken: bytes) -> None:
    """A tool's output may be cut anywhere, or be no UTF-8 at all: it is replaced, in text and in requests."""
    peer = Peer(permissions="allow").prompted()
    peer.says(a_chunk("cut @ here").replace(b"@", broken))
    assert "cut \ufffd" in peer.dialogue.text.so_far()
    peer.says(a_permission("p-@", ONCE, rawInput={"old": "cut @"}).replace(b"@", broken))
    (answer,) = peer.heard()
    assert answer["result"]["outcome"] == {"outcome": "selected", "optionId": "once"}
    assert (peer.dialogue.garbage_lines, peer.dialogue.unknown_records) == (0, 0)


def test_another_version_of_the_protocol_ends_it() -> None:
    """An agent that answers with another version speaks none that we know."""
    peer = Peer()
    peer.asked()
    peer.answers(initialized(version=2))
    assert peer.heard() == []
    assert peer.dialogue.is_final
    outcome = peer.outcome()
    assert outcome.kind is FailureKind.PROTOCOL
    assert "speaks version 2 of the Agent Client Protocol" in str(outcome.error)


def test_a_program_that_is_no_agent_is_told_as_one() -> None:
    """``cat`` sends our own questions back, which we then refuse: the command is wrong, whatever it says."""
    peer = Peer()
    peer.asked()
    peer.answers(code=-32601, message="Method not found")
    outcome = peer.outcome()
    assert outcome.kind is FailureKind.PROTOCOL
    assert "'Method not found': its CLI type's command is no agent of this protocol" in str(outcome.error)


def test_a_missing_login_says_what_to_do() -> None:
    """Logging in is a person's work; the agent tells by which ways it can be done."""
    methods = [
        {"id": "a", "name": "Browser", "description": "Run `x auth login`"},
        {"type": "env_var", "id": "b", "name": "Key", "vars": [{"name": "X_API_KEY"}]},
    ]
    peer = Peer()
    peer.asked()
    peer.answers(initialized(authMethods=methods))
    peer.asked()
    peer.answers(code=-32000, message="Authentication required")
    outcome = peer.outcome()
    assert outcome.kind is FailureKind.AUTH
    assert str(outcome.error).startswith("Authentication required; log in by hand as the user that runs")
    assert "it offers: Browser: Run `x auth login`; Key: X_API_KEY" in str(outcome.error)


@pytest.mark.parametrize(
    ("why", "error", "kind"),
    [
        ("a status in the details", (-32603, "Internal error", {"details": "401 no"}), FailureKind.AUTH),
        ("a status in the message", (-32603, "HTTP 503 from the service", None), FailureKind.NETWORK),
        ("a status as the code", (429, "Try again later.", None), FailureKind.RATE_LIMIT),
        ("a number that is none", (-32603, "it took 500 steps", None), FailureKind.UNKNOWN),
        ("a quota behind a 429", (429, "You exceeded your current quota", None), FailureKind.QUOTA),
        (
            "details that are a text",
            (-32603, "Internal error", "prompt is too long"),
            FailureKind.CONTEXT_LENGTH,
        ),
        ("details below detail", (-32603, "e", {"detail": "rate limit exceeded"}), FailureKind.RATE_LIMIT),
        ("a broken connection", (-32603, "fetch failed: ECONNREFUSED", None), FailureKind.NETWORK),
        ("the protocol's code for a login", (-32000, "Please sign in", None), FailureKind.AUTH),
        ("a code for a general error, too", (-32000, "Service unavailable", None), FailureKind.NETWORK),
        ("a cancelled request", (-32800, "Request cancelled", None), FailureKind.CANCELLED),
        ("nothing that we know", (-32603, "Internal error: bad", {"service": "x"}), FailureKind.UNKNOWN),
        ("a model that refuses the service", (400, "bad request", None), FailureKind.UNKNOWN),
    ],
)
def test_an_error_gets_its_kind_by_its_words_then_by_its_status(
    why: str, error: tuple[int, str, Any], kind: FailureKind
) -> None:
    """Sentences that we know come first, then an HTTP status, then the protocol's own codes."""
    code, message, data = error
    peer = Peer().prompted()
    peer.says(a_chunk("So far"))
    peer.answers(code=code, message=message, data=data)
    outcome = peer.outcome()
    assert outcome.kind is kind, why
    assert message in str(outcome.error)
    assert outcome.content == "So far"


@pytest.mark.parametrize(
    ("reason", "kind", "says"),
    [
        ("max_tokens", FailureKind.MAX_TURNS, "limit of tokens"),
        ("max_turn_requests", FailureKind.MAX_TURNS, "limit of model requests"),
        ("refusal", FailureKind.PERMISSION, "refuses"),
        ("cancelled", FailureKind.CANCELLED, "was cancelled"),
        ("of_next_year", FailureKind.PROTOCOL, "its answer to session/prompt cannot be read: stopReason"),
    ],
)
def test_only_one_stop_reason_is_success(reason: str, kind: FailureKind, says: str) -> None:
    """All others leave the prompt without its answer, and each tells why."""
    peer = Peer().prompted()
    peer.answers({"stopReason": reason})
    outcome = peer.outcome()
    assert outcome.kind is kind
    assert says in str(outcome.error)


@pytest.mark.parametrize(
    ("code", "signal", "stderr", "kind", "error"),
    [
        (0, None, b"", FailureKind.PROTOCOL, "exited with code 0 before it answered initialize"),
        (None, 9, b"", FailureKind.CRASH, "was ended by SIGKILL before it answered initialize"),
        (127, None, b"env: node: No such file", FailureKind.CLI_MISSING, "initialize: env: node"),
        (1, None, b"unknown option --acp", FailureKind.CRASH, "unknown option --acp"),
        (1, None, b"[debug] not logged in to sentry\nbye", FailureKind.CRASH, "initialize: bye"),
        (None, 11, b"[debug] checking disk quota of /home", FailureKind.CRASH, "disk quota of /home"),
        (0, None, b"MCP server x timed out, going on", FailureKind.PROTOCOL, "exited with code 0"),
        (None, None, b"", FailureKind.LOST, "ended unseen"),
    ],
)
def test_without_an_answer_the_end_tells_the_kind(
    code: int | None, signal: int | None, stderr: bytes, kind: FailureKind, error: str
) -> None:
    """What it was asked last and how it went; its standard error is told, and decides nothing."""
    peer = Peer()
    for line in stderr.splitlines():
        peer.dialogue.stderr(line)
    outcome = peer.outcome(code, signal)
    assert outcome.kind is kind
    assert error in str(outcome.error)


def test_requests_that_we_do_not_know_are_refused_and_counted() -> None:
    """An agent that waits for an answer gets one, whatever it asks."""
    peer = Peer().prompted()
    peer.says(a_line(id="x-1", method="fs/read_text_file", params={"path": "/etc/passwd"}))
    peer.says(a_line(id=None, method="terminal/create"))
    peer.says(a_line(id=1.5, method="terminal/kill"), a_line(id={"n": [1]}, method="terminal/kill"))
    refused = {"code": -32601, "message": "Method not found"}
    assert peer.heard() == [
        {"jsonrpc": "2.0", "id": "x-1", "error": {**refused, "data": {"method": "fs/read_text_file"}}},
        {"jsonrpc": "2.0", "id": None, "error": {**refused, "data": {"method": "terminal/create"}}},
        *(
            {"jsonrpc": "2.0", "id": id, "error": {**refused, "data": {"method": "terminal/kill"}}}
            for id in (1.5, {"n": [1]})
        ),
    ]
    assert peer.dialogue.unknown_records == 4


def test_a_permission_that_cannot_be_read_is_refused() -> None:
    """An option of a kind that we do not know could mean anything."""
    peer = Peer().prompted()
    peer.says(a_permission(3, {**ONCE, "kind": "allow_forever_and_ever"}))
    (answer,) = peer.heard()
    assert (answer["id"], answer["error"]["code"]) == (3, -32602)
    assert "options.0.kind" in answer["error"]["message"]
    assert (peer.dialogue.pending, peer.dialogue.unknown_records) == (None, 1)


@pytest.mark.parametrize(
    "line",
    [
        an_update("of_next_year", anything=1),
        an_update("tool_call", toolCallId=7),
        a_line(method="elicitation/complete", params={"elicitationId": "e"}),
        a_line(id=77, result={}),
        a_line(id=None, result=END),
        a_line(),
    ],
)
def test_messages_that_we_do_not_know_are_counted_and_passed_over(line: bytes) -> None:
    """A reader outlives the protocol's next version."""
    peer = Peer().prompted()
    peer.says(line)
    assert (peer.dialogue.unknown_records, peer.dialogue.garbage_lines) == (1, 0)
    assert peer.heard() == []
    peer.answers(END)
    assert peer.outcome().kind is None


@pytest.mark.parametrize("line", [b"Warning: hello", b"42", b"[]", b'{"jsonrpc"', b"\xff\xfe", b"null"])
def test_lines_that_are_no_messages_are_garbage(line: bytes) -> None:
    """Agents write greetings where the protocol wants none."""
    peer = Peer().prompted()
    peer.says(line, b"", b"  ")
    assert (peer.dialogue.unknown_records, peer.dialogue.garbage_lines) == (0, 1)


def test_updates_that_say_nothing_we_use_are_passed_over() -> None:
    """Thoughts and plans are records like any other, but no part of the answer."""
    peer = Peer().prompted()
    peer.says(
        a_chunk("hm", kind="agent_thought_chunk"),
        an_update("plan", entries=[{"content": "think", "priority": "low", "status": "pending"}]),
        an_update("available_commands_update", availableCommands=[]),
        an_update("current_mode_update", currentModeId="x"),
        an_update("agent_message_chunk", content={"type": "image", "data": "", "mimeType": "image/png"}),
    )
    assert (peer.dialogue.unknown_records, peer.outcome().content) == (0, "")


def test_only_its_own_session_is_listened_to() -> None:
    """An agent below the agent has a session of its own; its words are no answer."""
    peer = Peer().prompted()
    peer.says(a_chunk("mine"), a_chunk("of a subagent", "sess-2"))
    assert (peer.outcome().content, peer.dialogue.unknown_records) == ("mine", 0)


def test_messages_are_told_apart_by_their_ids_and_by_tool_calls() -> None:
    """Pieces of one message belong together; what comes behind a tool call is another message."""
    peer = Peer().prompted()
    peer.says(
        a_chunk("one ", messageId="m1"),
        a_chunk("and one", messageId="m1"),
        a_chunk("two", messageId="m2"),
        an_update("tool_call", toolCallId="c", title="make", status="completed"),
        a_chunk("three", messageId="m2"),
    )
    assert peer.outcome().content == "one and one\ntwo\nthree"


def test_a_tool_runs_from_its_call_to_its_end() -> None:
    """Silence counts as a tool at work meanwhile, and the call is shown by what it turned out to be."""
    peer, seen = Peer().prompted(), []
    for line in (
        an_update("tool_call", toolCallId="c", title="bash", status="pending", rawInput={"cwd": "/w"}),
        an_update("tool_call_update", toolCallId="c", title="make", rawInput={"command": "make"}),
        an_update("tool_call_update", toolCallId="c", status="in_progress"),
        an_update("tool_call_update", toolCallId="c", status="failed"),
        an_update("tool_call_update", toolCallId="c", content=[]),
    ):
        peer.says(line)
        seen.append(peer.dialogue.tools.running)
    assert seen == ['bash {"cwd":"/w"}', *['make {"command":"make"}'] * 2, None, None]
    assert peer.dialogue.tools.count == 1


def test_a_call_that_is_told_at_its_end_only_is_a_call() -> None:
    """Once a tool has run, nothing is tried again; so none may be missed."""
    peer = Peer().prompted()
    peer.says(an_update("tool_call_update", toolCallId="c", status="completed"))
    assert (peer.dialogue.tools.count, peer.dialogue.tools.running) == (1, None)


def test_the_same_call_again_and_again_is_noticed_by_what_it_turned_out_to_be() -> None:
    """A call that begins without its input is compared once the input is known."""
    peer = Peer().prompted()
    for number, command in enumerate(["ls", "make", "make", "make"]):
        id = f"call-{number}"
        peer.says(
            an_update("tool_call", toolCallId=id, title="bash", rawInput={}),
            an_update("tool_call_update", toolCallId=id, rawInput={"command": command}),
            an_update("tool_call_update", toolCallId=id, status="completed"),
        )
    assert peer.dialogue.tools.repeats == 3


def test_long_inputs_are_compared_as_a_whole() -> None:
    """A file that is written twice is a repetition; another that only begins like it is none."""
    peer = Peer().prompted()
    for number, end in enumerate(["a", "a", "b"]):
        input = {"content": "x" * 100_000 + end}
        peer.says(an_update("tool_call", toolCallId=f"call-{number}", title="write", rawInput=input))
        assert peer.dialogue.tools.repeats == (1, 2, 1)[number]


def test_calls_that_never_end_are_forgotten_in_the_end() -> None:
    """So many are remembered, each by the beginning of its input; all are counted."""
    peer, calls, text = Peer().prompted(), 2 * REMEMBERED, "x" * 5_000
    tracemalloc.start()
    try:
        for number in range(calls):
            peer.says(an_update("tool_call", toolCallId=str(number), title="t", rawInput={"number": number}))
            peer.says(an_update("tool_call_update", toolCallId=str(number), rawInput={"text": text}))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 3_000_000
    assert peer.dialogue.tools.count == calls
    assert str(peer.dialogue.tools.running).startswith('t {"text":"xxx')


@pytest.mark.parametrize("ended", [True, False])
def test_an_agent_that_does_not_read_has_failed_unless_it_had_answered(ended: bool) -> None:
    """It waits for nobody then, and the end says why."""
    peer = Peer().prompted()
    peer.says(a_permission(1, ONCE))
    if ended:
        peer.answers(END)
    peer.dialogue.unheard()
    outcome = peer.outcome()
    assert outcome.kind is (None if ended else FailureKind.PROTOCOL)
    if not ended:
        assert (peer.dialogue.is_final, peer.dialogue.pending) == (True, None)
        assert "without reading the answers" in str(outcome.error)


def test_what_it_took_is_read_where_the_agent_tells() -> None:
    """Tokens come with the answer and are the turn's own; costs count from the session's first turn on."""
    peer = Peer().prompted()
    for amount, currency in ((0.1, "USD"), (0.25, "USD"), (9, "EUR")):
        cost = {"amount": amount, "currency": currency}
        peer.says(an_update("usage_update", used=5, size=10, cost=cost))
    usage = {"inputTokens": 1, "outputTokens": 2, "cachedReadTokens": 3, "cachedWriteTokens": 4}
    peer.answers({**END, "usage": {**usage, "totalTokens": 10}})
    outcome = peer.outcome()
    expected = Usage(input_tokens=1, output_tokens=2, cache_read_tokens=3, cache_write_tokens=4)
    assert (outcome.usage, outcome.cost_usd) == (expected, 0.25)
    assert (outcome.counts_session, outcome.counts_session_cost) == (False, True)


def test_an_agent_that_tells_no_figures_has_none() -> None:
    """Nothing is estimated."""
    peer = Peer().prompted()
    peer.answers(END)
    assert (peer.outcome().usage, peer.outcome().cost_usd) == (None, None)


MODELS = [{"value": "p/big", "name": "Big"}, {"value": "p/small", "name": "Small"}]
SELECT = {"id": "m", "name": "Model", "category": "model", "type": "select", "currentValue": "p/big"}
MODE = {"id": "x", "name": "Fast", "type": "boolean", "currentValue": True}
GROUPS = [{"group": "p", "name": "P", "options": MODELS}]


@pytest.mark.parametrize(
    ("model", "options", "value"),
    [
        ("p/small", MODELS, "p/small"),
        ("Small", MODELS, "p/small"),
        ("p/small", GROUPS, "p/small"),
        ("Big", MODELS, None),
        (None, MODELS, None),
    ],
)
def test_a_model_is_chosen_before_the_prompt(
    model: str | None, options: list[dict[str, Any]], value: str | None
) -> None:
    """By value or name, in groups or not; a choice that the session has already is not made again."""
    peer = Peer(model=model)
    peer.asked()
    peer.answers(initialized())
    peer.asked()
    peer.answers({"sessionId": SESSION, "configOptions": [MODE, {**SELECT, "options": options}]})
    method, params = peer.asked()
    if value is not None:
        assert method == "session/set_config_option"
        assert params == {"sessionId": SESSION, "configId": "m", "value": value}
        peer.answers()
        method, params = peer.asked()
    assert method == "session/prompt"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([{**SELECT, "options": MODELS}], "offers no model 'huge'; it offers: p/big, p/small"),
        ([MODE], "offers no choice of models by the protocol: leave model out"),
        (None, "offers no choice of models by the protocol: leave model out"),
    ],
)
def test_a_model_that_cannot_be_had_is_told(options: list[dict[str, Any]] | None, says: str) -> None:
    """Nobody gets another model than the one that was asked for."""
    peer = Peer(model="huge")
    peer.asked()
    peer.answers(initialized())
    peer.asked()
    peer.answers({"sessionId": SESSION, "configOptions": options})
    assert peer.heard() == []
    assert says in str(peer.outcome().error)


def test_cancelling_tells_the_agent_once_and_still_listens() -> None:
    """What it says until it stops is kept."""
    peer = Peer().prompted()
    peer.dialogue.cancel()
    peer.dialogue.cancel()
    told = {"jsonrpc": "2.0", "method": "session/cancel", "params": {"sessionId": SESSION}}
    assert peer.heard() == [told]
    assert not peer.dialogue.is_final
    peer.says(a_chunk("one last word"))
    peer.answers({"stopReason": "cancelled"})
    outcome = peer.outcome()
    assert (outcome.kind, outcome.content) == (FailureKind.CANCELLED, "one last word")


def test_cancelled_before_the_prompt_there_is_nothing_more_to_say() -> None:
    """The end of its input is all that an agent needs which has begun nothing."""
    peer = Peer()
    peer.asked()
    peer.dialogue.cancel()
    assert (peer.heard(), peer.dialogue.is_final) == ([], True)
    peer.answers(initialized())
    assert peer.heard() == []


def test_a_dialogue_that_was_never_opened_reads_what_was_left_behind() -> None:
    """A broker that takes over reads the records of the last one, says nothing, and asks nobody."""
    dialogue = AcpDialogue(EARLIER)
    for line in (
        a_line(id=1, result=initialized()),
        a_chunk("history", EARLIER),
        a_line(id=2, result={}),
        a_chunk("So far"),
        a_chunk("So far", EARLIER),
        a_permission(0, ONCE),
        a_line(id=1, method="fs/read_text_file"),
    ):
        dialogue.stdout(line)
    assert (dialogue.to_send(), dialogue.pending, dialogue.is_final) == (b"", None, False)
    outcome = dialogue.outcome(Exit())
    assert (outcome.kind, outcome.content) == (FailureKind.LOST, "So far")


@given(st.lists(st.binary(max_size=200)), st.lists(st.binary(max_size=200)))
def test_no_bytes_whatever_break_the_dialogue(stdout: list[bytes], stderr: list[bytes]) -> None:
    """Arbitrary bytes never raise and are never a success."""
    peer = Peer().prompted()
    peer.says(*stdout)
    for data in stderr:
        peer.dialogue.stderr(data)
    assert peer.outcome().kind is not None


#: Values of every JSON type, some of them almost right.
_VALUES = st.sampled_from(
    [
        *(None, True, 0, -1.5, 10**400, "", "x", SESSION, [], [1], {}),
        *({"code": "x"}, {"code": -1, "message": 3}, {"protocolVersion": "x"}, {"stopReason": None}),
        {"sessionId": SESSION, "update": {"sessionUpdate": "tool_call"}},
        {"sessionId": SESSION, "update": {"sessionUpdate": "agent_message_chunk", "content": {}}},
        {"sessionId": SESSION, "toolCall": {"toolCallId": ""}, "options": []},
    ]
)
_MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from([None, 0, 1, 2, 3, 4, 5, "5", "x", 1.5, []]),
        "method": st.sampled_from(["session/update", "session/request_permission", "x", 1]),
        "params": _VALUES,
        "result": _VALUES,
        "error": _VALUES,
    },
)


@given(st.lists(_MESSAGES, max_size=6), st.booleans(), st.sampled_from(["ask", "allow", "reject"]))
def test_no_shape_of_a_message_breaks_the_dialogue(
    messages: list[dict[str, Any]], is_resume: bool, permissions: str
) -> None:
    """Known messages with fields of any type never raise; what we say stays one message a line."""
    peer = Peer(resumes=EARLIER if is_resume else None, permissions=permissions)
    peer.says(*(json.dumps(message).encode() for message in messages))
    peer.dialogue.cancel()
    assert all(message["jsonrpc"] == "2.0" for message in peer.heard())
    assert peer.outcome().kind is not None


def test_nesting_without_end_is_garbage() -> None:
    """A line of a million brackets neither overflows the stack nor counts as a message."""
    peer = Peer().prompted()
    peer.says(b"[" * 1_000_000, b'{"id":5,"result":' + b"[" * 1_000_000)
    assert (peer.dialogue.garbage_lines, peer.dialogue.is_final) == (2, False)
