"""What the stream-json dialect's failures mean: tables from its words to our kinds.

Sources: recorded runs of Claude Code 2.1.197 and 2.1.330 (``tests/samples/claude``), the error words and
sentences of that program, and the Anthropic API's list of errors.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable
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


#: First match wins. Sentences come before status codes: a 400 may be an empty purse or a full context.
SENTENCES = (
    # The session is unknown to the CLI, or taken by a run that we lost: only a new session gets on.
    Sentence(text="no conversation found with session id", kind=FailureKind.PROTOCOL, ends_session=True),
    Sentence(text="--resume requires a valid session id", kind=FailureKind.PROTOCOL, ends_session=True),
    Sentence(text="invalid session id", kind=FailureKind.PROTOCOL, ends_session=True),
    Sentence(text=r"session id \S+ is already in use", kind=FailureKind.PROTOCOL, ends_session=True),
    # "Server is temporarily limiting requests (not your usage limit)" must not read as a used-up quota.
    Sentence(text="not your usage limit", kind=FailureKind.RATE_LIMIT),
    Sentence(text="credit balance", kind=FailureKind.QUOTA),
    Sentence(text="usage limit", kind=FailureKind.QUOTA),
    Sentence(text="you've hit your", kind=FailureKind.QUOTA),
    Sentence(text="exceeded usd budget", kind=FailureKind.QUOTA),
    Sentence(text="reached maximum budget", kind=FailureKind.QUOTA),
    Sentence(text="overloaded", kind=FailureKind.RATE_LIMIT),
    Sentence(text="prompt is too long", kind=FailureKind.CONTEXT_LENGTH),
    Sentence(text="exceed context limit", kind=FailureKind.CONTEXT_LENGTH),
    Sentence(text="reached maximum number of turns", kind=FailureKind.MAX_TURNS),
    Sentence(text="invalid api key", kind=FailureKind.AUTH),
    Sentence(text="run /login", kind=FailureKind.AUTH),
    Sentence(text="failed to authenticate", kind=FailureKind.AUTH),
    Sentence(text="not logged in", kind=FailureKind.AUTH),
    Sentence(text="disabled organization", kind=FailureKind.AUTH),
    Sentence(text="cannot be used with root", kind=FailureKind.PERMISSION),
    Sentence(text="unable to connect to api", kind=FailureKind.NETWORK),
    Sentence(text="empty or malformed response", kind=FailureKind.NETWORK),
    Sentence(text="connection error", kind=FailureKind.NETWORK),
    Sentence(text="request timed out", kind=FailureKind.NETWORK),
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

#: The dialect's own words for an error, in api_retry and assistant records.
WORDS = {
    "authentication_failed": FailureKind.AUTH,
    "oauth_org_not_allowed": FailureKind.AUTH,
    "billing_error": FailureKind.QUOTA,
    "rate_limit": FailureKind.RATE_LIMIT,
    "overloaded": FailureKind.RATE_LIMIT,
    "server_error": FailureKind.NETWORK,
}

#: Subtypes of a result record, and why it ended, that name the failure by themselves.
ENDINGS = {
    "error_max_turns": FailureKind.MAX_TURNS,
    "error_max_budget_usd": FailureKind.QUOTA,
    "aborted_streaming": FailureKind.CANCELLED,
    "aborted_tools": FailureKind.CANCELLED,
}

#: What a shell or ``env`` in a CLI's launcher says when it finds no interpreter, or may not run it.
LAUNCHER_CODES = {126: FailureKind.CLI_MISSING, 127: FailureKind.CLI_MISSING}

#: Exit codes of a CLI that was asked to stop and obeyed: 128 + SIGHUP, SIGINT, SIGTERM.
STOPPED_CODES = frozenset({129, 130, 143})


def sentence_in(text: str) -> Sentence | None:
    """The first known sentence in an error text, or None."""
    lowered = text.lower()
    return next((sentence for sentence in SENTENCES if re.search(sentence.text, lowered)), None)


def kind_of_text(text: str) -> FailureKind | None:
    """What an error text means, or None where it says nothing that we know."""
    found = sentence_in(text)
    return found.kind if found else None


def kind_of_status(status: int | None) -> FailureKind | None:
    """What an HTTP status of the model's service means, or None where only the text can tell."""
    if status is None:
        return None
    if status in STATUSES:
        return STATUSES[status]
    return FailureKind.NETWORK if 500 <= status <= 599 else None


def kind_of_retry(status: int | None, word: str | None) -> FailureKind:
    """What a retry record means: one without a status never reached the service."""
    return kind_of_status(status) or WORDS.get(word or "") or FailureKind.NETWORK


def kind_of_words(words: Iterable[str | None]) -> FailureKind | None:
    """What the first known word among an error's words and endings means."""
    known = ENDINGS | WORDS
    return next((known[word] for word in words if word in known), None)


def kind_of_exit(exit: Exit) -> FailureKind:
    """What the end of a process without a result record means."""
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
