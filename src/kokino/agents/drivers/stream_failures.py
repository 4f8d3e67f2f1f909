"""What the stream-json dialect's failures mean: tables from its words to our kinds.

Sources: recorded runs of Claude Code 2.1.197 and 2.1.330 (``tests/samples/claude``), the error words and
sentences of that program, and the Anthropic API's list of errors.
"""

from __future__ import annotations

from collections.abc import Iterable

from kokino.agents.drivers.signs import Sentence, kind_of_status
from kokino.agents.failures import FailureKind

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
    Sentence(text=r"response exceeded the \d+ output token maximum", kind=FailureKind.MAX_TURNS),
    Sentence(text="invalid api key", kind=FailureKind.AUTH),
    Sentence(text="run /login", kind=FailureKind.AUTH),
    Sentence(text="failed to authenticate", kind=FailureKind.AUTH),
    Sentence(text="not logged in", kind=FailureKind.AUTH),
    Sentence(text="disabled organization", kind=FailureKind.AUTH),
    Sentence(text="(--[a-z-]+ )?cannot be used with root", kind=FailureKind.PERMISSION),
    Sentence(text="unable to connect to api", kind=FailureKind.NETWORK),
    Sentence(text="empty or malformed response", kind=FailureKind.NETWORK),
    Sentence(text="connection error", kind=FailureKind.NETWORK),
    Sentence(text="request timed out", kind=FailureKind.NETWORK),
)

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


def kind_of_retry(status: int | None, word: str | None) -> FailureKind:
    """What a retry record means: one without a status never reached the service."""
    return kind_of_status(status) or WORDS.get(word or "") or FailureKind.NETWORK


def kind_of_words(words: Iterable[str | None]) -> FailureKind | None:
    """What the first known word among an error's words and endings means."""
    known = ENDINGS | WORDS
    return next((known[word] for word in words if word in known), None)
