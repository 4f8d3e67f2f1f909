"""The scripted agent once more, as an agent that is spoken with: the Agent Client Protocol over stdio.

What it does is scripted by the same directives (docs/scripted-agent.md), and by some of its own that only a
dialogue knows. Like the other one it is run by its path with ``-I -S``, needs the standard library alone, and
finds the other one beside itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

if TYPE_CHECKING or __package__:
    from kokino.testing import scripted_agent as base
else:
    sys.path.append(str(Path(__file__).parent))
    import scripted_agent as base

VERSION = "1.0.0-scripted.1"
PROTOCOL_VERSION = 1
#: Models that a client may choose from.
MODELS = ("scripted-1", "scripted-2")
#: JSON-RPC's and the protocol's error codes.
NOT_FOUND, INTERNAL, NO_LOGIN, NO_SESSION = -32601, -32603, -32000, -32002
#: How the reading thread tells the playing one that the turn is cancelled: it interrupts any sleep.
CANCEL_SIGNAL = signal.SIGUSR1
STOPS = "max_tokens|max_turn_requests|refusal|cancelled"
OPTIONS = (
    {"optionId": "yes", "name": "Allow", "kind": "allow_once"},
    {"optionId": "always", "name": "Always allow", "kind": "allow_always"},
    {"optionId": "no", "name": "Reject", "kind": "reject_once"},
)


class Over(Exception):
    """The turn is over: how it is answered."""

    def __init__(self, **answer: Any) -> None:
        super().__init__()
        self.answer = answer


def stopped(reason: str, **more: Any) -> Over:
    """The end of a turn by a stop reason."""
    return Over(result={"stopReason": reason, **more})


def lines() -> Iterator[bytes]:
    """Standard input, past Python's buffer: a thread that waits in that one cannot be left at the exit."""
    pending = bytearray()
    while chunk := os.read(0, 65536):
        *whole, rest = chunk.split(b"\n")
        for piece in whole:
            yield bytes(pending + piece)
            pending.clear()
        pending += rest


class Wire:
    """Both directions: lines are read by a thread, so that a client is heard while a script plays."""

    def __init__(self) -> None:
        #: Requests of the client, in order; None is the end of its words.
        self.requests: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        #: Answers to our own requests.
        self.answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.is_playing = False
        #: Stays after the end of its input.
        self.is_deaf = False
        self.is_mute = False
        self._asked = 0

    def listen(self) -> None:
        """Read until the end; then the whole program ends, as an agent whose client is gone should."""
        for line in lines():
            message = json.loads(line)
            if message.get("method") == "session/cancel":
                self._cancel()
            elif "method" in message:
                self.requests.put(message)
            else:
                self.answers.put(message)
        if not self.is_deaf:
            self.requests.put(None)
            # A script that plays is of no use to anybody any more.
            if self.is_playing:
                os._exit(0)

    def send(self, **message: Any) -> None:
        """One message, never in halves: a signal waits for its end."""
        if self.is_mute:
            return
        line = json.dumps({"jsonrpc": "2.0", **message}, ensure_ascii=False).encode() + b"\n"
        signal.pthread_sigmask(signal.SIG_BLOCK, {CANCEL_SIGNAL})
        try:
            while line:
                line = line[os.write(1, line) :]
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {CANCEL_SIGNAL})

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask the client, and wait for its answer."""
        self._asked += 1
        self.send(id=f"ask-{self._asked}", method=method, params=params)
        return self.answers.get()

    def _cancel(self) -> None:
        if self.is_playing:
            signal.pthread_kill(threading.main_thread().ident or 0, CANCEL_SIGNAL)

    def cancelled(self, number: int, frame: object) -> None:
        """What the signal does: it breaks off what plays."""
        if self.is_playing:
            raise stopped("cancelled")


class Updates(base.Output):
    """What a turn says, as ``session/update`` notifications."""

    def __init__(self, wire: Wire, session_id: str) -> None:
        super().__init__(session_id)
        self._wire = wire

    def update(self, kind: str, /, **fields: Any) -> None:
        """One update."""
        update = {"sessionUpdate": kind, **fields}
        self._wire.send(method="session/update", params={"sessionId": self.session_id, "update": update})

    def chunk(self, kind: str, text: str, **more: Any) -> None:
        """A piece of a message."""
        self.update(kind, content={"type": "text", "text": text}, **more)

    def close(self) -> None:
        """Close standard output; answers too are lost from now on."""
        super().close()
        self._wire.is_mute = True

    def record(self, **fields: Any) -> None:
        """A record of the other dialect: here a kind of update that nobody knows."""
        self.update(str(fields.pop("type")), **fields)

    def assistant(self, *content: dict[str, Any], model: str, **more: Any) -> None:
        """The texts of a message."""
        for block in content:
            self.chunk("agent_message_chunk", block["text"])


class AcpTurn(base.Turn):
    """One prompt; see `scripted_agent.Turn`."""

    def __init__(self, wire: Wire, options: base.Options, prompt: str, memory: base.Memory) -> None:
        super().__init__(options, prompt, memory, base.Output(options.session_id))
        self.wire = wire
        self.updates = Updates(wire, options.session_id)
        self.out = self.updates

    def say(self, text: str) -> None:
        """One message of the model, told from the one before by its id."""
        self.updates.chunk("agent_message_chunk", text, messageId=f"msg_{len(self.said)}")
        self.said.append(text)

    @contextlib.contextmanager
    def tool(self, command: str) -> Iterator[None]:
        """A tool_call, the work, and how it went."""
        call = self.call(command)
        self.updates.update("tool_call", **call, status="in_progress")
        try:
            yield
        except Over:
            self.updates.update("tool_call_update", toolCallId=call["toolCallId"], status="failed")
            raise
        self.updates.update("tool_call_update", toolCallId=call["toolCallId"], status="completed")

    def call(self, command: str) -> dict[str, Any]:
        """A new call's id, title and input."""
        self._tools += 1
        id = f"call_{len(self.turns_before)}_{self._tools}"
        return {"toolCallId": id, "title": command, "kind": "execute", "rawInput": {"command": command}}

    def retry(self, failure: base.Failure, times: int, delay: float) -> None:
        """The protocol has no word for tries that were refused: it is silent for so long."""
        time.sleep(times * delay)

    def fail(self, failure: base.Failure) -> NoReturn:
        """The model's service refuses: an internal error whose details tell it."""
        details = failure.text if failure.status is None else f"{failure.status} {failure.text}"
        raise Over(error={"code": INTERNAL, "message": "Internal error", "data": {"details": details}})

    def result(self, *, subtype: str = "success", is_error: bool = False, **more: Any) -> NoReturn:
        """The answer to the prompt, with what it took."""
        if subtype == "error_max_turns":
            raise stopped("max_turn_requests")
        read, written = base.tokens_in(*self.turns_before, self.prompt), base.tokens_in(*self.said)
        cost = {"amount": session_cost([*self.turns_before, self.prompt]), "currency": "USD"}
        self.updates.update("usage_update", used=read + written, size=200_000, cost=cost)
        usage = {"inputTokens": read, "outputTokens": written, "totalTokens": read + written}
        raise stopped("end_turn", usage=usage)


def session_cost(prompts: list[str]) -> float:
    """Dollars of a whole session, so that each turn costs what its prompt and all before it take to read."""
    read = sum(base.tokens_in(*prompts[: turn + 1]) for turn in range(len(prompts)))
    return round(read * base.INPUT_PRICE, 8)


class AcpScript(base.Script):
    """The language, with the words that only a dialogue knows."""

    DIRECTIVES: ClassVar[dict[str, base.Directive]] = dict(base.Script.DIRECTIVES)


@AcpScript.directive("ask DIRECTIVE", r"(.+)")
def ask(turn: AcpTurn, text: str) -> None:
    """Ask for the permission to follow a directive; follow it where it is given."""
    steps = AcpScript.parse(text)
    call = {**turn.call(text), "status": "pending"}
    answer = turn.wire.ask(
        "session/request_permission",
        sessionId=turn.options.session_id,
        toolCall=call,
        options=list(OPTIONS),
    )
    outcome = answer.get("result", {}).get("outcome", {})
    if outcome.get("outcome") != "selected":
        raise stopped("cancelled")
    if outcome["optionId"] == "no":
        turn.updates.update("tool_call_update", toolCallId=call["toolCallId"], status="failed")
        turn.say(f"I may not: {text}")
        return
    turn.updates.update("tool_call_update", toolCallId=call["toolCallId"], status="in_progress")
    for step in steps:
        step(turn)
    turn.updates.update("tool_call_update", toolCallId=call["toolCallId"], status="completed")


@AcpScript.directive("muse TEXT", r"(.+)")
def muse(turn: AcpTurn, text: str) -> None:
    """Think aloud."""
    turn.updates.chunk("agent_thought_chunk", text)


@AcpScript.directive(f"stop {STOPS}", f"({STOPS})")
def stop(turn: AcpTurn, reason: str) -> NoReturn:  # noqa: ARG001
    """End the turn by that stop reason."""
    raise stopped(reason)


@AcpScript.directive("refuse CODE TEXT", r"(-?\d+) (.+)")
def refuse(turn: AcpTurn, code: str, text: str) -> NoReturn:  # noqa: ARG001
    """Answer the prompt with an error."""
    raise Over(error={"code": int(code), "message": text})


@AcpScript.directive("call METHOD", r"(\S+)")
def call(turn: AcpTurn, method: str) -> None:
    """Ask the client for something by that method, and say what came back."""
    answer = turn.wire.ask(method, sessionId=turn.options.session_id)
    turn.say(json.dumps(answer.get("error") or answer.get("result")))


@AcpScript.directive("deaf")
def deaf(turn: AcpTurn) -> None:
    """Stay when the client is gone."""
    turn.wire.is_deaf = True


class Agent:
    """Answers a client's requests, one after the other."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.home = os.environ.get("KOKINO_SCRIPTED_HOME")
        self.model = MODELS[0]
        self.linger = 0.0

    def run(self) -> None:
        """Until the client is gone."""
        while (message := self.wire.requests.get()) is not None:
            try:
                answer = self._answer(message["method"], message.get("params", {}))
            except (base.ScriptError, OSError) as error:
                answer = {"error": {"code": INTERNAL, "message": f"scripted-acp-agent: {error}"}}
            except Over as over:  # cancelled in the last moment of a turn
                answer = over.answer
            self.wire.send(id=message["id"], **answer)
        time.sleep(self.linger)

    def _answer(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        answers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "initialize": self._initialize,
            "session/new": self._new,
            "session/load": self._load,
            "session/set_config_option": self._set,
            "session/prompt": self._prompt,
        }
        if method not in answers:
            return {"error": {"code": NOT_FOUND, "message": "Method not found", "data": {"method": method}}}
        return answers[method](params)

    def _initialize(self, params: dict[str, Any]) -> dict[str, Any]:
        login = {
            "id": "file",
            "name": "Login file",
            "description": "write the file that stands for the login",
        }
        return {
            "result": {
                "protocolVersion": PROTOCOL_VERSION,
                "agentInfo": {"name": "scripted", "version": VERSION},
                # Without a place to remember in there is nothing to load.
                "agentCapabilities": {"loadSession": self.home is not None},
                "authMethods": [login],
            }
        }

    def _new(self, params: dict[str, Any]) -> dict[str, Any]:
        if not base.has_login():
            return {"error": {"code": NO_LOGIN, "message": "Authentication required"}}
        session_id = f"sess_{os.urandom(8).hex()}"
        return {"result": {"sessionId": session_id, "configOptions": self._options()}}

    def _load(self, params: dict[str, Any]) -> dict[str, Any]:
        if not base.has_login():
            return {"error": {"code": NO_LOGIN, "message": "Authentication required"}}
        memory = base.Memory(self.home, params["sessionId"])
        if not memory.exists():
            return {"error": {"code": NO_SESSION, "message": f"Resource not found: {params['sessionId']}"}}
        updates = Updates(self.wire, params["sessionId"])
        for number, prompt in enumerate(memory.turns(), 1):
            updates.chunk("user_message_chunk", prompt)
            updates.chunk("agent_message_chunk", f"What I said in turn {number}.")
        cost = {"amount": session_cost(memory.turns()), "currency": "USD"}
        updates.update("usage_update", used=0, size=200_000, cost=cost)
        return {"result": {"configOptions": self._options()}}

    def _set(self, params: dict[str, Any]) -> dict[str, Any]:
        self.model = params["value"]
        return {"result": {"configOptions": self._options()}}

    def _options(self) -> list[dict[str, Any]]:
        models = [{"value": model, "name": model} for model in MODELS]
        chosen = {"type": "select", "currentValue": self.model, "options": models}
        return [{"id": "model", "name": "Model", "category": "model", **chosen}]

    def _prompt(self, params: dict[str, Any]) -> dict[str, Any]:
        prompt = "".join(block.get("text", "") for block in params["prompt"])
        memory = base.Memory(self.home, params["sessionId"])
        options = base.Options(params["sessionId"], memory.exists(), self.model)
        spoken = [line for line in prompt.splitlines() if not line.startswith(base.PROMPT_PREFIX)]
        turn = AcpTurn(self.wire, options, "\n".join(spoken), memory)
        steps = [step for script in base.scripts_for(prompt) for step in AcpScript.parse(script)]
        memory.add(turn.prompt)
        try:
            self.wire.is_playing = True
            base.play(turn, steps)
        except Over as over:
            return over.answer
        finally:
            self.wire.is_playing = False
            self.linger = turn.linger
        # `no-result`: it goes without an answer.
        sys.exit(0)


def main() -> None:
    """Speak with the client on the standard streams; see the top of the file."""
    wire = Wire()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, base.stop)
    signal.signal(CANCEL_SIGNAL, wire.cancelled)
    threading.Thread(target=wire.listen, daemon=True).start()
    Agent(wire).run()


if __name__ == "__main__":
    main()
