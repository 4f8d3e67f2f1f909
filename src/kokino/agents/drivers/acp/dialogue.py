"""The dialogue with an agent that speaks the Agent Client Protocol, as words in and words out.

The order of a good turn: initialize, session/new (or session/load, which tells the whole history again),
session/prompt; then updates and requests for permission, until the prompt is answered. The proof of success
is that answer with the stop reason ``end_turn``: the protocol gives exit codes no meaning.
"""

from __future__ import annotations

from collections.abc import Callable

from acp.meta import AGENT_METHODS, CLIENT_METHODS, PROTOCOL_VERSION
from acp.schema import (
    CancelNotification,
    Error,
    InitializeResponse,
    LoadSessionResponse,
    NewSessionResponse,
    PromptResponse,
    RequestPermissionRequest,
    SessionNotification,
)
from msgspec import UNSET, Raw
from pydantic import BaseModel

from kokino.agents.drivers.acp import failures, messages, permissions, session
from kokino.agents.drivers.acp.messages import INVALID_PARAMS, METHOD_NOT_FOUND, Ask, Message
from kokino.agents.drivers.acp.permissions import Asked
from kokino.agents.drivers.acp.session import ConfigOptions
from kokino.agents.drivers.acp.turn import Turn
from kokino.agents.drivers.contract import Exit, Opening, Outcome, PermissionOption, PermissionRequest, Usage
from kokino.agents.drivers.record_reader import LineReader, decode
from kokino.agents.drivers.signs import describe, kind_of_exit
from kokino.agents.drivers.text import CONTENT_LIMIT, one_line, repaired
from kokino.agents.failures import FailureKind
from kokino.agents.model import Permissions
from kokino.errors import Conflict, Fault, Invalid

#: So many requests for a permission wait at a time, each for a person; more are answered as cancelled.
MOST_ASKED = 100


class AcpDialogue(LineReader):
    """One turn of an agent; see `contract.Dialogue`."""

    def __init__(self, resumes: str | None = None) -> None:
        super().__init__(resumes)
        self._opening: Opening | None = None
        self._outbox = bytearray()
        #: The request whose answer comes next. Answers to anything else are nobody's.
        self._awaited = Ask.INITIALIZE
        self._turn = Turn(self.tools, self.text)
        self._asked: list[Asked] = []
        self._login_advice = session.login_advice(None)
        self._began_anew: str | None = None
        self._response: PromptResponse | None = None
        self._failure: tuple[FailureKind, str] | None = None
        self._is_cancelled = False

    @property
    def pending(self) -> PermissionRequest | None:
        """What it waits for; see `contract.Dialogue`."""
        return self._asked[0].request if self._asked else None

    def open(self, opening: Opening) -> None:
        """Begin to speak."""
        self._opening = opening
        self._ask(Ask.INITIALIZE, lambda _: session.initialize())

    def to_send(self) -> bytes:
        """What was said since the last call."""
        said = bytes(self._outbox)
        self._outbox.clear()
        return said

    def answer(self, option_id: str) -> None:
        """Answer the first request for a permission that waits."""
        if not self._asked:
            raise Conflict("it waits for no permission")
        asked = self._asked[0]
        option = asked.option(option_id)
        if option is None:
            known = ", ".join(one.id for one in asked.request.options)
            message = f"{option_id!r} is no option of this request; there are: {known}"
            raise Invalid(message, [Fault(field="optionId", message=message)])
        self._asked.pop(0)
        self._decide(asked, option)

    def cancel(self) -> None:
        """Ask it to stop. Requests that wait must then be answered as cancelled, says the protocol."""
        if self._is_cancelled or self.is_final:
            return
        self._is_cancelled = True
        for asked in self._asked:
            self._decide(asked, None)
        self._asked.clear()
        if self._awaited is Ask.PROMPT and self.session_id is not None:
            told = CancelNotification(session_id=self.session_id)
            self._send(messages.notification(AGENT_METHODS["session_cancel"], told))
        else:
            self.end_words()  # it has not begun with anything: the end of its input is all it needs

    def unheard(self) -> None:
        """It does not read its input."""
        if not self.is_final:
            self._asked.clear()
            said = "it asks on and on without reading the answers: its standard input has been closed"
            self._fail(FailureKind.PROTOCOL, said)

    def stdout(self, line: bytes) -> None:
        """Take one message."""
        if not line.strip():
            return
        # What is inside is read by another decoder, as strict, when the message is known.
        line = repaired(line)
        message = decode(line, Message)
        if message is None:
            self.garbage_lines += 1
        elif not self._understands(message):
            self.unknown_records += 1

    def outcome(self, exit: Exit) -> Outcome:
        """Judge the whole, once the tree is gone."""
        kind, error = self._verdict(exit)
        return Outcome(
            kind=kind,
            error=error,
            content=self.text.so_far()[:CONTENT_LIMIT],
            usage=usage_of(self._response),
            cost_usd=self._turn.session_cost_usd,
            counts_session_cost=True,
            began_anew=self._began_anew,
        )

    def _understands(self, message: Message) -> bool:
        if message.method is None:
            return self._take_answer(message)
        if message.id is UNSET:
            return self._take_notification(message)
        return self._take_request(message.method, message.id, message.params)

    # --- their answers to us ---------------------------------------------------------------------------

    def _take_answer(self, message: Message) -> bool:
        if self.is_final or message.id is UNSET or messages.shown(message.id) != str(int(self._awaited)):
            return False
        if message.error is not UNSET and bytes(message.error) != b"null":
            self._take_error(message.error)
        elif self._awaited is Ask.MODEL:
            self._prompt()  # whatever it says beside: it has not refused
        else:
            self._take_result(message.result)
        return True

    def _take_result(self, raw: Raw) -> None:
        models: dict[Ask, type[BaseModel]] = {
            Ask.INITIALIZE: InitializeResponse,
            Ask.NEW: NewSessionResponse,
            Ask.LOAD: LoadSessionResponse,
            Ask.PROMPT: PromptResponse,
        }
        result = messages.read(raw if bytes(raw) != b"null" else Raw(b"{}"), models[self._awaited])
        match result:
            case InitializeResponse():
                self._initialized(result)
            case NewSessionResponse():
                self._opened(result.session_id, result.config_options)
            case LoadSessionResponse():
                self._opened(str(self.resumes), result.config_options)
            case PromptResponse():
                self._response = result
                self.end_words()
            case _:
                said = f"its answer to {self._awaited.method} cannot be read: {result}"
                self._fail(FailureKind.PROTOCOL, said)

    def _initialized(self, agent: InitializeResponse) -> None:
        self.version = agent.agent_info.version if agent.agent_info else None
        self._login_advice = session.login_advice(agent.auth_methods)
        resumes = self.resumes
        if agent.protocol_version != PROTOCOL_VERSION:
            said = (
                f"it speaks version {agent.protocol_version} of the Agent Client Protocol,"
                f" and Kokino only version {PROTOCOL_VERSION}"
            )
            self._fail(FailureKind.PROTOCOL, said)
        elif resumes is None:
            self._ask(Ask.NEW, session.new)
        elif agent.agent_capabilities and agent.agent_capabilities.load_session:
            self._ask(Ask.LOAD, lambda opening: session.load(opening, resumes))
        else:
            self._begin_anew("the agent cannot load earlier sessions")

    def _begin_anew(self, reason: str) -> None:
        self._began_anew = reason
        self._ask(Ask.NEW, session.new)

    def _opened(self, session_id: str, options: ConfigOptions | None) -> None:
        self.session_id = session_id
        wanted = self._opening.model if self._opening else None
        choice = None if wanted is None else session.choose_model(wanted, options)
        if isinstance(choice, str):
            self._fail(FailureKind.UNKNOWN, choice)
        elif choice is None or choice.is_made:
            self._prompt()
        else:
            chosen = choice.request(session_id)
            self._ask(Ask.MODEL, lambda _: chosen)

    def _prompt(self) -> None:
        session_id = str(self.session_id)
        self._turn.begin()
        self._ask(Ask.PROMPT, lambda opening: session.prompt(opening, session_id))

    def _take_error(self, raw: Raw) -> None:
        error = messages.read(raw, Error)
        if isinstance(error, str):
            said = f"its answer to {self._awaited.method} is an error that cannot be read: {error}"
            self._fail(FailureKind.PROTOCOL, said)
            return
        text = failures.text_of_error(error.message, error.data)
        kind = failures.kind_of_error(error.code, text)
        if self._awaited is Ask.LOAD and failures.is_unknown_session(error.code, error.message, error.data):
            self._begin_anew(f"the agent could not load session {self.resumes}: {text}")
        elif self._awaited is Ask.LOAD and kind is None:
            self._fail(
                FailureKind.UNKNOWN, f"session {self.resumes} is kept, but could not be loaded: {text}"
            )
        elif self._awaited is Ask.INITIALIZE and kind is None:
            said = f"it answers initialize with {text!r}: its CLI type's command is no agent of this protocol"
            self._fail(FailureKind.PROTOCOL, said)
        elif kind is FailureKind.AUTH:
            self._fail(kind, f"{text}; {self._login_advice}")
        else:
            self._fail(kind or FailureKind.UNKNOWN, text)

    # --- what they tell and ask ------------------------------------------------------------------------

    def _take_notification(self, message: Message) -> bool:
        if message.method != CLIENT_METHODS["session_update"]:
            return False
        told = messages.read(message.params, SessionNotification)
        if isinstance(told, str):
            return False
        self._withdraw(told)
        # Others may speak too: an agent below the agent has a session of its own.
        if told.session_id == (self.session_id or self.resumes):
            self._turn.take(told)
        return True

    def _take_request(self, method: str, id: Raw, params: Raw) -> bool:
        if method != CLIENT_METHODS["session_request_permission"]:
            said = {"method": one_line(method)}
            self._send(messages.refusal(id, METHOD_NOT_FOUND, "Method not found", said))
            return False
        wanted = messages.read(params, RequestPermissionRequest)
        if isinstance(wanted, str):
            self._send(messages.refusal(id, INVALID_PARAMS, f"Invalid params: {wanted}"))
            return False
        self._take_permission(permissions.asked(id, wanted))
        return True

    def _take_permission(self, asked: Asked) -> None:
        policy = Permissions.ASK if self._opening is None else self._opening.permissions
        if self._is_cancelled or self.is_final or not asked.request.options:
            self._decide(asked, None)  # nobody could choose among no options
        elif policy is not Permissions.ASK:
            self._decide(asked, permissions.choose(asked.request.options, policy))
        elif len(self._asked) >= MOST_ASKED:
            self._decide(asked, None)
        elif self._opening is not None:
            self._asked.append(asked)

    def _withdraw(self, told: SessionNotification) -> None:
        """Drop what waits for a call that has ended: the agent has gone on without an answer."""
        for asked in [one for one in self._asked if one.ends_with(told)]:
            self._asked.remove(asked)
            self._decide(asked, None)  # JSON-RPC leaves no request without one

    def _decide(self, asked: Asked, option: PermissionOption | None) -> None:
        if option is not None and option.kind.startswith("allow"):
            self._turn.call(asked.call)  # some agents tell of a call only here
        else:
            self._turn.end_call(asked.call.id)
        self._send(permissions.answer(asked.id, option))

    # --- ours ------------------------------------------------------------------------------------------

    def _ask(self, ask: Ask, params: Callable[[Opening], BaseModel]) -> None:
        self._awaited = ask
        if self._opening is not None:
            self._send(messages.request(ask, params(self._opening)))

    def _send(self, line: bytes) -> None:
        if self._opening is not None:
            self._outbox += line

    def _fail(self, kind: FailureKind, error: str) -> None:
        self._failure = (kind, one_line(error))
        self.end_words()

    def _verdict(self, exit: Exit) -> tuple[FailureKind | None, str | None]:
        if self._failure is not None:
            return self._failure
        if self._response is None:
            ended = f"{describe(exit)} before it answered {self._awaited.method}"
            # What it writes beside the protocol may be anything, a tool's output or a setting's name: it is
            # told, and decides nothing.
            return kind_of_exit(exit), one_line(f"{ended}: {self.last_words}" if self.last_words else ended)
        return failures.STOPS.get(self._response.stop_reason, (None, None))


def usage_of(response: PromptResponse | None) -> Usage | None:
    """The turn's tokens, where the agent told them with its answer."""
    if response is None or response.usage is None:
        return None
    usage = response.usage
    return Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_read_tokens or 0,
        cache_write_tokens=usage.cached_write_tokens or 0,
    )
