"""The agent's side of a dialogue, for tests: what it hears of us, and what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kokino.agents.drivers.acp.dialogue import AcpDialogue
from kokino.agents.drivers.contract import Dialogue, Exit, Opening, Outcome
from kokino.agents.model import Permissions

SESSION = "sess-1"
EARLIER = "sess-0"
ONCE = {"optionId": "once", "name": "Allow once", "kind": "allow_once"}
ALWAYS = {"optionId": "always", "name": "Always allow", "kind": "allow_always"}
NO = {"optionId": "no", "name": "Reject", "kind": "reject_once"}
NEVER = {"optionId": "never", "name": "Reject always", "kind": "reject_always"}
METHODS = {
    1: "initialize",
    2: "session/load",
    3: "session/new",
    4: "session/set_config_option",
    5: "session/prompt",
}


def a_line(**message: Any) -> bytes:
    """A message as an agent writes it."""
    return json.dumps({"jsonrpc": "2.0", **message}).encode()


def an_update(kind: str, session: str = SESSION, **fields: Any) -> bytes:
    """A session/update."""
    update = {"sessionUpdate": kind, **fields}
    return a_line(method="session/update", params={"sessionId": session, "update": update})


def a_chunk(text: str, session: str = SESSION, kind: str = "agent_message_chunk", **more: Any) -> bytes:
    """A piece of a message."""
    return an_update(kind, session, content={"type": "text", "text": text}, **more)


def a_permission(id: Any, *options: dict[str, Any], call: str = "call-1", **more: Any) -> bytes:
    """A request for a permission."""
    tool = {"toolCallId": call, "title": "make", "rawInput": {"command": "make"}, **more}
    params = {"sessionId": SESSION, "toolCall": tool, "options": list(options)}
    return a_line(id=id, method="session/request_permission", params=params)


def initialized(*, loads: bool = True, version: int = 1, **more: Any) -> dict[str, Any]:
    """The result of initialize."""
    info = {"name": "a", "version": "7.1"}
    return {
        "protocolVersion": version, "agentCapabilities": {"loadSession": loads}, "agentInfo": info, **more,
    }  # fmt: skip


class Peer:
    """Hears what a dialogue says, message by message, and answers."""

    def __init__(self, *, resumes: str | None = None, **opening: Any) -> None:
        self.dialogue = AcpDialogue(resumes)
        assert isinstance(self.dialogue, Dialogue)
        policy = Permissions(opening.pop("permissions", "ask"))
        given = {"prompt": "Do it.", "cwd": Path("/work"), **opening}
        self.dialogue.open(Opening(permissions=policy, **given))

    def heard(self) -> list[dict[str, Any]]:
        """The messages since the last call."""
        return [json.loads(line) for line in self.dialogue.to_send().splitlines()]

    def asked(self) -> tuple[str, dict[str, Any]]:
        """The one request since the last call: its method and parameters. Its id is the one we know it by."""
        (message,) = self.heard()
        assert METHODS[message["id"]] == message["method"]
        self.last_id = message["id"]
        return message["method"], message["params"]

    def says(self, *lines: bytes) -> None:
        """The agent writes these lines."""
        for line in lines:
            self.dialogue.stdout(line)

    def answers(self, result: Any = None, **error: Any) -> None:
        """The agent answers the last request: with a result, or an error's fields."""
        answer = {"error": error} if error else {"result": {} if result is None else result}
        self.says(a_line(id=self.last_id, **answer))

    def prompted(self, **result: Any) -> Peer:
        """A dialogue up to the prompt, in a new session."""
        self.asked()
        self.answers(initialized())
        self.asked()
        self.answers({"sessionId": SESSION, **result})
        assert self.asked()[0] == "session/prompt"
        return self

    def outcome(self, code: int | None = 0, signal: int | None = None) -> Outcome:
        """What it came to."""
        return self.dialogue.outcome(Exit(code=code, signal=signal))
