"""Why an execution failed, in one word, and what that word decides."""

from __future__ import annotations

from enum import StrEnum


class FailureKind(StrEnum):
    """The one kind that every failure gets."""

    #: The login is missing, expired or refused.
    AUTH = "auth"
    #: The account's allowance is used up until it resets.
    QUOTA = "quota"
    #: Too many requests for now; the vendor asks for patience.
    RATE_LIMIT = "rate_limit"
    #: The conversation no longer fits the model.
    CONTEXT_LENGTH = "context_length"
    #: The CLI stopped at its own limit of turns.
    MAX_TURNS = "max_turns"
    #: The CLI may not do what it was asked to.
    PERMISSION = "permission"
    #: The CLI is not installed where we look.
    CLI_MISSING = "cli_missing"
    #: The process could not be started.
    SPAWN = "spawn"
    #: The process ended by a signal or code that nobody asked for.
    CRASH = "crash"
    #: The tree went over its memory limit.
    OOM = "oom"
    #: The tree had more processes than it may.
    PROCESS_LIMIT = "process_limit"
    #: The output went over its disk limit.
    OUTPUT_LIMIT = "output_limit"
    #: The wall deadline passed.
    TIMEOUT = "timeout"
    #: No output for the idle deadline.
    IDLE_TIMEOUT = "idle_timeout"
    #: It waited too long for its agent to become free.
    LOCK_TIMEOUT = "lock_timeout"
    #: Somebody cancelled it.
    CANCELLED = "cancelled"
    #: It was not let run: paused, or no way left to run it.
    REFUSED = "refused"
    #: The CLI's output gave no proof of success.
    PROTOCOL = "protocol"
    #: Its process went away with a broker, a worker or its terminal, by no fault of its own.
    LOST = "lost"
    #: The model's service could not be reached or did not answer.
    NETWORK = "network"
    #: None of the above; the error text says what is known.
    UNKNOWN = "unknown"

    @property
    def counts_for_breaker(self) -> bool:
        """False where the agent itself did nothing wrong."""
        return self not in {
            FailureKind.QUOTA,
            FailureKind.RATE_LIMIT,
            FailureKind.LOCK_TIMEOUT,
            FailureKind.CANCELLED,
            FailureKind.REFUSED,
            FailureKind.LOST,
        }


#: Kinds that are never tried again, whatever is configured: another try cannot help, or nobody wants it.
FINAL = frozenset({FailureKind.CANCELLED, FailureKind.REFUSED, FailureKind.LOCK_TIMEOUT})
