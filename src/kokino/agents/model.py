"""What an agent and a CLI type are, once checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from kokino.agents.failures import FailureKind
from kokino.clock import MILLISECOND

#: Agents whose id begins so are the broker's own; nobody else can have one.
PROBE_AGENT = "probe."
#: In front of an agent's id: who runs its prompts once more in shadow mode.
SHADOW_AGENT = "shadow."
OWN_AGENTS = (PROBE_AGENT, SHADOW_AGENT)


class Mode(StrEnum):
    """How an agent's prompts run."""

    HEADLESS = "headless"
    #: In a terminal, as a person would work it.
    TMUX = "tmux"
    #: By tmux, which answers, and headless beside it; both are compared.
    SHADOW = "shadow"

    @property
    def of_caller(self) -> Mode:
        """How the side runs whose answer the caller gets."""
        return Mode.TMUX if self is Mode.SHADOW else self


class Permissions(StrEnum):
    """How a CLI is answered that asks whether it may do something."""

    #: It waits until somebody answers, and is shown as waiting.
    ASK = "ask"
    ALLOW = "allow"
    REJECT = "reject"


class Source(StrEnum):
    """Where an agent was configured: what the file no longer names goes, what the API registered stays."""

    CONFIG = "config"
    API = "api"
    #: Made by the broker for its own probes; in no list.
    BROKER = "broker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one execution of an agent may take. The defaults suit a coding agent that works by itself."""

    #: Wall deadline from start to end.
    timeout: timedelta = timedelta(seconds=300)
    #: Longest silence; not counted while a tool is known to run.
    idle: timedelta = timedelta(seconds=120)
    #: From the CLI's final event to its exit, and from the first signal to SIGKILL.
    grace: timedelta = timedelta(seconds=5)
    #: Executions that may wait for this agent.
    queue: int = 100
    #: Longest wait for the agent to become free.
    queue_timeout: timedelta = timedelta(minutes=5)
    #: Memory of its process tree in MiB: four times what the largest CLI idles at.
    memory_mb: int = 2048
    #: Processes of its tree at one time: a build with a job for each of 64 cores takes fewer.
    processes: int = 512
    #: What its output may take, in MiB: on disk while it waits to be recorded, and as records.
    output_mb: int = 256
    #: Dollars that the agent may spend from one midnight (UTC) to the next; None is no limit.
    spend_usd: float | None = None

    def to_document(self) -> dict[str, Any]:
        """As it is stored, and as the API shows it: lengths in milliseconds, sizes in MiB."""
        return {
            "timeoutMs": self.timeout // MILLISECOND,
            "idleMs": self.idle // MILLISECOND,
            "graceMs": self.grace // MILLISECOND,
            "queue": self.queue,
            "queueTimeoutMs": self.queue_timeout // MILLISECOND,
            "memoryMb": self.memory_mb,
            "processes": self.processes,
            "outputMb": self.output_mb,
            "spendUsd": self.spend_usd,
        }

    @staticmethod
    def from_document(document: Mapping[str, Any]) -> Limits:
        """The reverse of `to_document`; what an earlier version did not store has its default."""
        default = Limits()
        return Limits(
            timeout=timedelta(milliseconds=document["timeoutMs"]),
            idle=timedelta(milliseconds=document["idleMs"]),
            grace=timedelta(milliseconds=document["graceMs"]),
            queue=document["queue"],
            queue_timeout=timedelta(milliseconds=document["queueTimeoutMs"]),
            memory_mb=document.get("memoryMb", default.memory_mb),
            processes=document.get("processes", default.processes),
            output_mb=document.get("outputMb", default.output_mb),
            spend_usd=document.get("spendUsd"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CliType:
    """A configured name for a way to run a CLI."""

    name: str
    #: The driver that speaks its language.
    driver: str
    #: Program and fixed leading arguments.
    command: tuple[str, ...]
    flags: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    #: What the peak of an execution's process tree should stay under, in MiB: the service level `resources`.
    memory_slo_mb: int = 500
    #: An open circuit breaker sends the agent elsewhere, unless the agent says otherwise.
    breaker_fallback: bool = False
    #: Why its agents cannot be worked in a terminal on this machine; None where they can.
    no_terminal: str | None = None
    #: In a terminal only its screen tells what it does: it is worked there where somebody names tmux, never
    #: by default.
    is_guessed_in_terminal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A configured worker."""

    agent_id: str
    cli_type: str
    #: Where its CLI is started.
    cwd: Path
    mode: Mode = Mode.HEADLESS
    model: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    #: Where its executions go while its CLI type is disabled, or its circuit breaker is open: ``tmux``, a CLI
    #: type, ``park``, or None for what the fallback itself says, which is ``tmux`` where it says nothing.
    fallback: str | None = None
    #: Whether an open circuit breaker sends it there; None for what its CLI type says.
    breaker_fallback: bool | None = None
    #: The login and quota that it shares with others.
    account: str
    pool: str = "default"
    #: How often an execution is tried once more, by the kind of its failure.
    retries: Mapping[FailureKind, int] = field(default_factory=dict)
    permissions: Permissions = Permissions.ASK
    #: In shadow mode: the share of executions that are compared, and the similarity from which on two answers
    #: are the same; both 0 to 1.
    shadow_sample: float = 1.0
    shadow_threshold: float = 0.95
    source: Source = Source.API
    registered_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """An agent's resumable life in one CLI."""

    agent_id: str
    cli_type: str
    #: The vendor's id.
    session_id: str
    conversation_id: str
    #: The CLI has confirmed it: the next turn resumes it.
    is_established: bool
    created_at: datetime
    used_at: datetime
    #: What the CLI last said that the whole session took, where it counts so.
    taken: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """Who holds an agent."""

    agent_id: str
    #: Grows with every holder; only the present holder's token releases.
    token: int
    execution_id: str | None
    locked_at: datetime | None
    #: When it was told that this holder has it for too long; None until then.
    overdue_at: datetime | None = None


class Scope(StrEnum):
    """What a pause covers."""

    ALL = "all"
    ACCOUNT = "account"
    AGENT = "agent"
    POOL = "pool"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Executions that it covers wait in their queue until it is lifted."""

    scope: Scope
    #: The account, agent or pool; empty for ``all``.
    scope_id: str
    reason: str
    since: datetime
    set_by: str
    #: When it lifts itself; None until somebody lifts it.
    ends_at: datetime | None = None

    def is_over(self, now: datetime) -> bool:
        """True from its end on."""
        return self.ends_at is not None and self.ends_at <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """A CLI type that is disabled, or one agent that is sent elsewhere; and what is known of the way back."""

    cli_type: str
    #: The one agent; None for all agents of the CLI type.
    agent_id: str | None = None
    reason: str
    since: datetime
    #: ``tmux``, ``park`` or the CLI type that they are moved to. Of a CLI type: unless they name one of their
    #: own.
    target: str | None
    set_by: str
    #: A circuit breaker did it: good probes alone undo it.
    is_automatic: bool = False
    #: When the next probe is to run; None while one runs, or when none is wanted.
    probe_due_at: datetime | None = None
    #: Good probes in a row so far.
    probes_good: int = 0
    probe_execution_id: str | None = None
    probe_last_at: datetime | None = None
    probe_last_outcome: str | None = None


def shadow_of(agent_id: str) -> str:
    """Who runs the agent's prompts once more in shadow mode."""
    return f"{SHADOW_AGENT}{agent_id}"


def account_of(cli_type: CliType, env: Mapping[str, str]) -> str:
    """The account that agents of a CLI type share when none is configured: the CLI type and its HOME."""
    home = {**cli_type.env, **env}.get("HOME", "~")
    return f"{cli_type.name}:{home}"
