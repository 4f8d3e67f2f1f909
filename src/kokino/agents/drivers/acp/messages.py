"""The Agent Client Protocol on the wire: JSON-RPC 2.0, one message per line.

What is inside of a message is built and checked by the models of the package ``agent-client-protocol``. They
take about a second of processor time to load: only `dialogue` imports this module, and only where a CLI
type speaks the protocol.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, TypeVar

import msgspec
from acp.meta import AGENT_METHODS
from acp.schema import Error
from msgspec import UNSET, DecodeError, Raw, Struct, UnsetType
from pydantic import BaseModel, ValidationError

from kokino.agents.drivers.text import one_line

Model = TypeVar("Model", bound=BaseModel)
#: An id is shown with so much of it, in characters.
ID_LIMIT = 200

#: What JSON-RPC answers to a request that we do not know, and to one that cannot be read.
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602


class Ask(IntEnum):
    """Our requests by their ids: with fixed ones a dialogue can be read without knowing what was sent."""

    INITIALIZE = 1
    LOAD = 2
    NEW = 3
    MODEL = 4
    PROMPT = 5

    @property
    def method(self) -> str:
        """As it is called on the wire: ``session/prompt``."""
        return METHODS[self]


METHODS = {
    Ask.INITIALIZE: AGENT_METHODS["initialize"],
    Ask.LOAD: AGENT_METHODS["session_load"],
    Ask.NEW: AGENT_METHODS["session_new"],
    Ask.MODEL: AGENT_METHODS["session_set_config_option"],
    Ask.PROMPT: AGENT_METHODS["session_prompt"],
}


class Message(Struct):
    """Whatever comes in: a request has a method and an id, a notification only a method, else it answers."""

    method: str | None = None
    #: As the agent wrote it, to be echoed: whatever it is, the agent waits for an answer with just that.
    id: Raw | UnsetType = UNSET
    params: Raw = Raw(b"{}")
    result: Raw = Raw(b"{}")
    error: Raw | UnsetType = UNSET


class Request(Struct):
    """What we want of the agent; without an id it is only told."""

    method: str
    params: Raw
    id: int | UnsetType = UNSET
    jsonrpc: str = "2.0"


class Response(Struct):
    """What we answer."""

    id: Raw
    result: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET
    jsonrpc: str = "2.0"


def request(ask: Ask, params: BaseModel) -> bytes:
    """A request as a line."""
    return _line(Request(method=ask.method, params=_raw(params), id=int(ask)))


def notification(method: str, params: BaseModel) -> bytes:
    """A notification as a line."""
    return _line(Request(method=method, params=_raw(params)))


def response(id: Raw, result: BaseModel) -> bytes:
    """The answer to a request of the agent, as a line."""
    return _line(Response(id=id, result=_raw(result)))


def refusal(id: Raw, code: int, message: str, data: Any = None) -> bytes:
    """The answer to a request that we cannot follow, as a line."""
    return _line(Response(id=id, error=_raw(Error(code=code, message=message, data=data))))


def shown(id: Raw) -> str:
    """An id for people: a text without its quotes, anything else as it was written."""
    try:
        text = msgspec.json.decode(id, type=str)
    except DecodeError:
        text = bytes(id).decode("utf-8", "replace")
    return text[:ID_LIMIT]


def read(raw: Raw, model: type[Model]) -> Model | str:
    """What a message holds, or why it cannot be read, in one line."""
    try:
        return model.model_validate_json(bytes(raw))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        return one_line(f"{where}: {first['msg']}" if where else first["msg"])


def _raw(model: BaseModel) -> Raw:
    # Only what was said: defaults of later versions of the protocol are nobody's business.
    return Raw(model.model_dump_json(by_alias=True, exclude_unset=True).encode())


def _line(message: Struct) -> bytes:
    return msgspec.json.encode(message) + b"\n"
