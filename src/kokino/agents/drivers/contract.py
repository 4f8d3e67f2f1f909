"""What a driver is: the code that speaks one CLI's language.

A driver turns an `Invocation` into a `Command`, and makes a `Reader` that is fed every line the CLI writes.
When the tree is gone the reader gives the `Outcome`. Drivers start nothing, touch no file but what
`Command.files` lists, and never ask the time: they can be tested with recorded lines alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from kokino.agents.drivers.needs import Needs
from kokino.agents.failures import FailureKind
from kokino.agents.model import Permissions

if TYPE_CHECKING:  # it is made of parts that know this module
    from kokino.agents.drivers.tools import ToolCalls


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One prompt to be run by one agent, as a driver needs to know it."""

    agent_id: str
    #: The program and its fixed leading arguments, from the CLI type: ``("claude",)``.
    command: tuple[str, ...]
    #: Extra arguments, the CLI type's and then the agent's own.
    flags: tuple[str, ...] = ()
    #: Model to ask for; None leaves the CLI's default.
    model: str | None = None
    #: The vendor's session id: ours to choose on the first turn, the CLI's own on later ones. A CLI that
    #: names its sessions itself passes over the one of the first turn.
    session_id: str
    #: False on the first turn of a session.
    is_resume: bool
    #: Holds the prompt as UTF-8; prompts never travel on argv (size, and ``ps`` shows it).
    prompt_file: Path
    #: For an interactive form that can be told where to write its records: a file of this execution alone.
    records_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """How to start the CLI for one invocation."""

    #: Program and arguments; no shell reads it.
    argv: tuple[str, ...]
    #: Opened as standard input; None closes it, except for a CLI whose reader is a `Dialogue`.
    stdin: Path | None
    #: Added to the agent's environment.
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a process ended: one of the two is set; both None when nobody saw it."""

    #: Exit status 0 to 255.
    code: int | None = None
    #: Number of the signal that ended it.
    signal: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one execution, as far as the CLI tells."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an execution came to, by the CLI's own account."""

    #: None means success, and only with the driver's proof of it.
    kind: FailureKind | None
    #: One line for a person; None on success.
    error: str | None
    #: The answer, or what was streamed before it failed.
    content: str
    usage: Usage | None = None
    cost_usd: float | None = None
    #: False when the CLI said that it does not know the session: the next turn must start a new one.
    session_is_alive: bool = True
    #: True where `usage` and `cost_usd` count from the session's first turn on: what this execution took is
    #: the difference to the turn before.
    counts_session: bool = False
    #: The same for `cost_usd` alone, where tokens are this execution's own.
    counts_session_cost: bool = False
    #: Why the CLI could not go on with the session that it was asked to, and worked instead in a new one;
    #: None where it could. It is no failure by itself: the prompt is worked on, without what was said before.
    began_anew: str | None = None
    #: When the quota is full again, where a record tells it; a text is read by `kokino.agents.resets`.
    resets_at: datetime | None = None


class Reader(Protocol):
    """Follows one execution's output. Never raises, whatever the bytes are."""

    #: The vendor's session id as soon as the CLI tells it.
    session_id: str | None
    #: The CLI's version as soon as it tells it.
    version: str | None
    #: The CLI has said its last word; what follows is only its exit.
    is_final: bool
    #: What the CLI's tools do: while one is known to run, silence is no sign of a hang.
    tools: ToolCalls
    #: Failure that the records tell already, long before the CLI gives up; None while all is well.
    early_kind: FailureKind | None
    #: Records of a type that this driver does not know.
    unknown_records: int

    def look(self) -> None:
        """What comes until the next call was written at about one time.

        It is told stream by stream: what stands on standard error may be older than the output before it.
        """
        ...

    def stdout(self, line: bytes) -> None:
        """Take one line of standard output, without its newline."""
        ...

    def stderr(self, line: bytes) -> None:
        """Take one line of standard error, without its newline."""
        ...

    def outcome(self, exit: Exit) -> Outcome:
        """Judge the whole, once the tree is gone."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionOption:
    """One of the answers that a CLI offers."""

    id: str
    #: As a person reads it.
    name: str
    #: ``allow_once``, ``allow_always``, ``reject_once`` or ``reject_always``.
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionRequest:
    """A CLI asks whether it may do something, and waits for the answer."""

    #: The CLI's own; another request of the same execution has another.
    id: str
    #: What it wants to do, in one line.
    title: str
    options: tuple[PermissionOption, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a dialogue is about."""

    prompt: str
    #: Working directory, absolute.
    cwd: Path
    #: Model to ask for; None leaves the CLI's default.
    model: str | None = None
    #: How the CLI is answered when it asks for a permission.
    permissions: Permissions = Permissions.ASK


@runtime_checkable
class Dialogue(Reader, Protocol):
    """A reader of a CLI that is spoken with while it runs: it has words to send, too.

    One that was never opened only listens, to what a dialogue has left behind. Standard input is closed
    behind its last words, once `is_final`: the CLI is expected to exit then.
    """

    @property
    def pending(self) -> PermissionRequest | None:
        """What the CLI waits for; None while it waits for nobody. Of several requests the first one."""
        ...

    def open(self, opening: Opening) -> None:
        """Begin to speak."""
        ...

    def to_send(self) -> bytes:
        """What is to be written to the CLI's standard input since the last call."""
        ...

    def answer(self, option_id: str) -> None:
        """Answer `pending` with one of its options. Raises `Conflict` and `Invalid`."""
        ...

    def cancel(self) -> None:
        """Ask the CLI to stop; what it then says is still read."""
        ...

    def unheard(self) -> None:
        """The CLI does not read what is said to it and is told no more: it has failed, if it goes on."""
        ...


class Sight(StrEnum):
    """What a CLI's screen shows."""

    #: An input box, and nothing at work.
    READY = "ready"
    WORKING = "working"
    #: A question whose answer is known.
    DIALOG = "dialog"
    #: It asks whether it may do something; see `Look.asks`.
    ASKING = "asking"
    #: It will never be ready, see `Look.says`.
    HOPELESS = "hopeless"
    #: Nothing that this driver knows.
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One screen, understood."""

    sight: Sight
    #: What stands in the input box; None where none is seen.
    box: str | None = None
    #: Keys that answer a dialog, by tmux's names.
    keys: tuple[str, ...] = ()
    #: The dialog's name, or why it is hopeless.
    says: str = ""
    #: What kind of failure a hopeless screen is.
    kind: FailureKind | None = None
    #: What it asks, with an option for each key that answers it.
    asks: PermissionRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where an interactive CLI is started."""

    env: Mapping[str, str]
    cwd: Path


@runtime_checkable
class Settling(Reader, Protocol):
    """A reader of records that may leave the end open."""

    def settle(self) -> None:
        """The CLI waits for the next prompt: it is done, whether its records say so or not."""
        ...


class Interactive(Protocol):
    """How one CLI is worked by a terminal, as a person would."""

    #: Keys that end it at its ready prompt.
    quit: tuple[str, ...]
    #: Keys that stop what it does.
    stop: tuple[str, ...]
    #: What a prompt must not begin with: there it would be no prompt but a command.
    commands: str

    def command(self, invocation: Invocation) -> Command:
        """How to start it; the prompt is typed later."""
        ...

    def records(self, invocation: Invocation, surroundings: Surroundings) -> Path | None:
        """The file that it writes its records to, or will; None where only the screen tells."""
        ...

    def reader(self, resumes: str | None = None) -> Reader:
        """A fresh reader of those records, line by line; of the screen's lines where there are none."""
        ...

    def look(self, screen: str) -> Look:
        """Understand a screen."""
        ...


class Driver(Protocol):
    """One CLI's language."""

    #: The word in ``[cli_types.NAME] driver = ...``.
    name: str
    #: The program to run where the CLI type names none.
    default_command: tuple[str, ...]
    #: What the doctor looks for.
    needs: Needs

    def command(self, invocation: Invocation) -> Command:
        """How to start the CLI for this prompt."""
        ...

    def reader(self, resumes: str | None = None) -> Reader:
        """A fresh reader for one execution; `resumes` is the session that it was asked to go on with."""
        ...

    def skips_permissions(self, flags: Sequence[str]) -> bool:
        """True where `flags` let the CLI do anything unasked. Whoever may configure it must be known."""
        ...


#: JSON object of one record, where a line held one.
Record = dict[str, Any]
