"""The scripted agent that is spoken with, as a real process: what it does is what our dialogue reads."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kokino.agents.drivers.contract import Dialogue, Usage
from kokino.agents.failures import FailureKind
from kokino.agents.model import Permissions
from kokino.testing import scripted_acp_agent
from tests.plain_dialogues import AcpAgent

#: Far longer than anything here takes, in seconds.
PATIENCE = 60
PROGRAM = Path(str(scripted_acp_agent.__file__))


@pytest.fixture
def agent(tmp_path: Path) -> AcpAgent:
    """It remembers its sessions, and nobody is asked for anything."""
    env = {"KOKINO_SCRIPTED_HOME": str(tmp_path / "sessions")}
    command = (sys.executable, "-I", "-S", str(PROGRAM))
    return AcpAgent(command=command, folder=tmp_path, env=env, permissions=Permissions.ALLOW)


def script(*directives: str) -> str:
    """A prompt that tells it what to do."""
    return "\n".join(["Work.", *(f"script: {one}" for one in directives)])


def test_it_answers_in_its_own_words(agent: AcpAgent) -> None:
    """Without directives it thanks, as the other scripted agent does; all that it writes is understood."""
    talk = agent.talk("Say hello.")
    assert talk.outcome.kind is None
    assert talk.outcome.content == 'Thank you. In turn 1 you said "Say hello.".'
    assert talk.exit.code == 0
    assert talk.dialogue.version == scripted_acp_agent.VERSION
    assert talk.dialogue.unknown_records == 0


def test_a_loaded_session_knows_what_was_said_in_it(agent: AcpAgent) -> None:
    """The history is told first, and is no part of the answer."""
    first = agent.talk("Remember heron.")
    second = agent.talk("Which word?", resumes=first.dialogue.session_id)
    assert b"What I said in turn 1." in second.stdout
    expected = 'Thank you. In turn 2 you said "Which word?". Before that: "Remember heron.".'
    assert (second.outcome.content, second.outcome.began_anew) == (expected, None)
    assert second.dialogue.session_id == first.dialogue.session_id


def test_an_unknown_session_is_replaced(agent: AcpAgent) -> None:
    """It refuses to load what it never began."""
    talk = agent.talk("Go on.", resumes="sess_none")
    assert talk.outcome.kind is None
    assert "Resource not found: sess_none" in str(talk.outcome.began_anew)


def test_without_a_place_to_remember_in_it_loads_nothing(agent: AcpAgent) -> None:
    """And says so when it is asked what it can."""
    talk = replace(agent, env={}).talk("Go on.", resumes="sess_none")
    assert talk.outcome.began_anew == "the agent cannot load earlier sessions"


def test_texts_are_the_lines_of_the_answer(agent: AcpAgent) -> None:
    """Thoughts are none, and neither are updates that nobody knows."""
    talk = agent.talk(script("muse hm", "emit one", "invalid-utf8", "stream 2 lines every 1ms"))
    assert talk.outcome.content == "one\nline 1\nline 2"
    assert talk.dialogue.unknown_records == 2


@pytest.mark.parametrize(("policy", "exists"), [(Permissions.ALLOW, True), (Permissions.REJECT, False)])
def test_what_it_asks_for_it_does_only_where_it_may(
    agent: AcpAgent, policy: Permissions, exists: bool
) -> None:
    """The permission decides over the directive behind ``ask``."""
    talk = replace(agent, permissions=policy).talk(script("ask write made.txt hello", "emit done"))
    assert talk.outcome.kind is None
    assert (agent.work / "made.txt").exists() == exists


def test_a_permission_may_be_given_by_somebody(agent: AcpAgent) -> None:
    """It waits, with its options, until it is answered."""
    seen: list[str] = []

    def look(dialogue: Dialogue) -> None:
        if dialogue.pending is not None:
            seen.append(dialogue.pending.title)
            dialogue.answer("always")

    talk = replace(agent, permissions=Permissions.ASK).talk(script("ask emit I may"), look=look)
    assert (seen, talk.outcome.content) == (["emit I may"], "I may")


def test_cancelled_in_mid_tool_it_says_so_and_goes(agent: AcpAgent) -> None:
    """The turn ends as cancelled at once, whatever the tool would have taken."""

    def look(dialogue: Dialogue) -> None:
        if dialogue.tools.running is not None:
            dialogue.cancel()

    talk = agent.talk(script("tool sleep 0s", "emit first", "hang"), look=look)
    assert talk.outcome.kind is FailureKind.CANCELLED
    assert talk.exit.code == 0


@pytest.mark.parametrize(
    ("directive", "kind", "says"),
    [
        ("fail auth", FailureKind.AUTH, "401 Failed to authenticate"),
        ("fail quota", FailureKind.QUOTA, "usage limit"),
        ("fail overloaded", FailureKind.RATE_LIMIT, "529"),
        ("fail context_length", FailureKind.CONTEXT_LENGTH, "Prompt is too long"),
        ("fail network", FailureKind.NETWORK, "Unable to connect"),
        ("max-turns", FailureKind.MAX_TURNS, "limit of model requests"),
        ("stop max_tokens", FailureKind.MAX_TURNS, "limit of tokens"),
        ("stop refusal", FailureKind.PERMISSION, "refuses"),
        ("refuse -32603 Something broke", FailureKind.UNKNOWN, "Something broke"),
        ("no-result", FailureKind.PROTOCOL, "exited with code 0 before it answered session/prompt"),
        ("crash 3", FailureKind.CRASH, "exited with code 3 before it answered session/prompt"),
        ("crash SIGSEGV", FailureKind.CRASH, "SIGSEGV"),
        ("close-stdout", FailureKind.PROTOCOL, "before it answered session/prompt"),
        ("dance", FailureKind.UNKNOWN, "unknown directive 'dance'"),
    ],
)
def test_each_way_to_fail_is_read_as_what_it_is(
    agent: AcpAgent, directive: str, kind: FailureKind, says: str
) -> None:
    """The kind and the words are those that a person needs."""
    outcome = agent.talk(script(directive)).outcome
    assert outcome.kind is kind
    assert says in str(outcome.error)


def test_a_login_that_is_missing_is_told_before_there_is_a_session(agent: AcpAgent) -> None:
    """As agents do it that check their login first."""
    env = {**agent.env, "KOKINO_SCRIPTED_LOGIN": "/nowhere/login"}
    talk = replace(agent, env=env).talk("Hello.")
    assert talk.outcome.kind is FailureKind.AUTH
    assert "write the file that stands for the login" in str(talk.outcome.error)
    assert talk.dialogue.session_id is None


def test_a_request_that_nobody_follows_is_refused(agent: AcpAgent) -> None:
    """It hears so and goes on."""
    talk = agent.talk(script("call fs/read_text_file"))
    assert "fs/read_text_file" in talk.outcome.content
    assert "-32601" in talk.outcome.content


def test_the_model_is_the_one_that_was_asked_for(agent: AcpAgent) -> None:
    """It tells its choice when it is made."""
    talk = replace(agent, model="scripted-2").talk("Hello.")
    assert talk.outcome.kind is None
    assert b'"currentValue": "scripted-2"' in talk.stdout


def test_each_turn_costs_what_it_reads(agent: AcpAgent) -> None:
    """Costs are told for the session, tokens for the turn."""
    first = agent.talk("x" * 400)
    second = agent.talk("x" * 400, resumes=first.dialogue.session_id)
    assert isinstance(first.outcome.usage, Usage)
    assert first.outcome.usage.input_tokens == 100
    assert second.outcome.usage is not None
    assert second.outcome.usage.input_tokens == 200
    assert first.outcome.cost_usd == pytest.approx(100 * 3e-6)
    assert second.outcome.cost_usd == pytest.approx(300 * 3e-6)


@pytest.mark.parametrize("directive", ["hang", "tool sleep 600s", "ask emit x"])
def test_it_goes_when_its_client_is_gone(agent: AcpAgent, directive: str) -> None:
    """In the middle of a script too: nobody could hear what it comes to."""
    block = {"type": "text", "text": script("emit begun", directive)}
    prompt = {"sessionId": "sess_1", "prompt": [block]}
    asked = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "session/prompt", "params": prompt})
    with agent.start(subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(asked.encode() + b"\n")
        assert b"begun" in process.stdout.readline()
        process.stdin.close()
        assert process.wait(PATIENCE) == 0
