"""By what a failure is known, whatever the CLI: sentences, HTTP statuses, how a process ended.

Each driver brings the sentences of its own CLI; what stands here is the same for all.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from kokino.agents.drivers.contract import Exit
from kokino.agents.failures import FailureKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A text by which a failure is known, and what it means."""

    #: A regular expression, looked for anywhere in the error text in lower case.
    text: str
    kind: FailureKind
    #: True where it says that this session cannot be used (again).
    ends_session: bool = False


#: What model services say, whichever CLI passes it on: OpenAI's, Alibaba's and their likes. A CLI's own
#: sentences come before them.
SERVICE_SENTENCES = (
    Sentence(text="quota exceeded", kind=FailureKind.QUOTA),
    Sentence(text="exceeded your current quota|insufficient_quota", kind=FailureKind.QUOTA),
    Sentence(text="insufficient (balance|credits)|arrearage", kind=FailureKind.QUOTA),
    Sentence(text="maximum context length|context_length_exceeded", kind=FailureKind.CONTEXT_LENGTH),
    Sentence(text="range of input length", kind=FailureKind.CONTEXT_LENGTH),
    Sentence(text="(incorrect|invalid) api key", kind=FailureKind.AUTH),
    Sentence(text="rate limit (exceeded|reached)|too many requests", kind=FailureKind.RATE_LIMIT),
    Sentence(text="overloaded", kind=FailureKind.RATE_LIMIT),
)

#: HTTP status of the model's service. 529 is Anthropic's "overloaded": patience heals it, so it is a
#: rate_limit; other 5xx say that the service does not answer, as a broken network does.
STATUSES = {
    401: FailureKind.AUTH,
    403: FailureKind.AUTH,
    408: FailureKind.NETWORK,
    413: FailureKind.CONTEXT_LENGTH,
    429: FailureKind.RATE_LIMIT,
    529: FailureKind.RATE_LIMIT,
}

#: What a shell or ``env`` in a CLI's launcher says when it finds no interpreter, or may not run it.
LAUNCHER_CODES = {126: FailureKind.CLI_MISSING, 127: FailureKind.CLI_MISSING}

#: Exit codes of a CLI that was asked to stop and obeyed: 128 + SIGHUP, SIGINT, SIGTERM.
STOPPED_CODES = frozenset({129, 130, 143})


def sentence_in(text: str, sentences: Sequence[Sentence]) -> Sentence | None:
    """The first of `sentences` that stands in an error text, or None."""
    lowered = text.lower()
    return next((sentence for sentence in sentences if re.search(sentence.text, lowered)), None)


def status_in(text: str, pattern: re.Pattern[str]) -> int | None:
    """The HTTP status that an error text names: the first group of `pattern` that matched."""
    found = pattern.search(text)
    return int(next(filter(None, found.groups()))) if found else None


def kind_in(
    text: str, sentences: Sequence[Sentence], status: re.Pattern[str] | None = None
) -> FailureKind | None:
    """What an error text means: a known sentence, else the HTTP status that `status` finds in it."""
    if sentence := sentence_in(text, sentences):
        return sentence.kind
    return kind_of_status(status_in(text, status)) if status else None


def kind_of_status(status: int | None) -> FailureKind | None:
    """What an HTTP status of the model's service means, or None where only the text can tell."""
    if status is None:
        return None
    if status in STATUSES:
        return STATUSES[status]
    return FailureKind.NETWORK if 500 <= status <= 599 else None


def kind_of_exit(exit: Exit) -> FailureKind:
    """What the end of a process without a proof of success means."""
    if exit.signal is None and exit.code is None:
        return FailureKind.LOST
    if exit.code == 0:
        return FailureKind.PROTOCOL
    return LAUNCHER_CODES.get(exit.code or 1, FailureKind.CRASH)


def takes_result_back(exit: Exit) -> bool:
    """True where the CLI, after a successful result, ended with a failure of its own.

    Being stopped is none, and neither is an end that nobody saw: the work was done and said to be done.
    """
    return exit.code not in {None, 0} and exit.code not in STOPPED_CODES


def describe(exit: Exit) -> str:
    """How a process ended, as half a sentence."""
    if exit.signal is not None:
        return f"was ended by {signal_name(exit.signal)}"
    if exit.code is None:
        return "ended unseen"
    return f"exited with code {exit.code}"


def signal_name(number: int) -> str:
    """``SIGTERM`` for 15; ``signal 77`` for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
