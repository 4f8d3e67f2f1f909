"""What is said to an agent until it works on a prompt: who we are, which session, which model, the prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from acp.meta import PROTOCOL_VERSION
from acp.schema import (
    AuthMethodAgent,
    AuthMethodEnvVar,
    AuthMethodTerminal,
    ClientCapabilities,
    FileSystemCapabilities,
    Implementation,
    InitializeRequest,
    LoadSessionRequest,
    NewSessionRequest,
    PromptRequest,
    SessionConfigOptionBoolean,
    SessionConfigOptionSelect,
    SessionConfigSelectGroup,
    SessionConfigSelectOption,
    SetSessionConfigOptionSelectRequest,
    TextContentBlock,
)

import kokino
from kokino.agents.drivers.contract import Opening
from kokino.agents.drivers.text import one_line

ConfigOptions = Sequence[SessionConfigOptionSelect | SessionConfigOptionBoolean]
AuthMethods = Sequence[AuthMethodEnvVar | AuthMethodTerminal | AuthMethodAgent]

#: Files and terminals of a client are for editors, whose buffers and panes an agent should see. Ours would be
#: the same files and processes once more, but outside of the agent's own tree: unsupervised and unlimited.
CAPABILITIES = ClientCapabilities(
    fs=FileSystemCapabilities(read_text_file=False, write_text_file=False), terminal=False
)


def initialize() -> InitializeRequest:
    """Who we are, and what we can do for an agent: nothing but answer it."""
    us = Implementation(name="kokino", title="Kokino", version=kokino.__version__)
    return InitializeRequest(
        protocol_version=PROTOCOL_VERSION, client_capabilities=CAPABILITIES, client_info=us
    )


def new(opening: Opening) -> NewSessionRequest:
    """A session in the agent's working directory."""
    return NewSessionRequest(cwd=str(opening.cwd), mcp_servers=[])


def load(opening: Opening, session_id: str) -> LoadSessionRequest:
    """An earlier session, with all that was said in it."""
    return LoadSessionRequest(session_id=session_id, cwd=str(opening.cwd), mcp_servers=[])


def prompt(opening: Opening, session_id: str) -> PromptRequest:
    """What the agent is to do."""
    block = TextContentBlock(type="text", text=opening.prompt)
    return PromptRequest(session_id=session_id, prompt=[block])


@dataclass(frozen=True, slots=True)
class Choice:
    """A model that the agent offers, and whether its session has it already."""

    option_id: str
    value: str
    is_made: bool

    def request(self, session_id: str) -> SetSessionConfigOptionSelectRequest:
        """Make the choice."""
        return SetSessionConfigOptionSelectRequest(
            session_id=session_id, config_id=self.option_id, value=self.value
        )


def choose_model(model: str, options: ConfigOptions | None) -> Choice | str:
    """How `model` is chosen in a session with these options; a sentence where it cannot be.

    It is looked for among the values, which only the agent can read, and among the names that people read.
    """
    select = next((option for option in options or () if option.category == "model"), None)
    if not isinstance(select, SessionConfigOptionSelect):
        return (
            f"model {model!r} is configured, but the agent offers no choice of models by the protocol:"
            " leave model out, and name it in flags or in the agent's own settings"
        )
    offered = list(_flat(select.options))
    for one in offered:
        if model in {one.value, one.name}:
            return Choice(select.id, one.value, is_made=one.value == select.current_value)
    names = ", ".join(one.value for one in offered)
    return one_line(f"the agent offers no model {model!r}; it offers: {names}")


def _flat(
    options: Sequence[SessionConfigSelectOption] | Sequence[SessionConfigSelectGroup],
) -> Iterator[SessionConfigSelectOption]:
    for one in options:
        if isinstance(one, SessionConfigSelectGroup):
            yield from one.options
        else:
            yield one


def login_advice(methods: AuthMethods | None) -> str:
    """What to do about a login that is missing, by the ways that the agent offers."""
    ways = "; ".join(_way(method) for method in methods or ())
    return "log in by hand as the user that runs the broker, or set what it needs in the CLI type's env" + (
        f" (it offers: {ways})" if ways else ""
    )


def _way(method: AuthMethodEnvVar | AuthMethodTerminal | AuthMethodAgent) -> str:
    if isinstance(method, AuthMethodEnvVar):
        return f"{method.name}: {', '.join(variable.name for variable in method.vars)}"
    return f"{method.name}: {method.description}" if method.description else method.name
