"""What OpenCode's failures mean: tables from its words to our kinds.

Sources: recorded runs of OpenCode 1.18.33 (``tests/samples/opencode``) and the sentences of that program.
"""

from __future__ import annotations

from kokino.agents.drivers.opencode_records import Failure
from kokino.agents.drivers.signs import SERVICE_SENTENCES, Sentence, kind_in, kind_of_status
from kokino.agents.failures import FailureKind

#: First match wins.
SENTENCES = (
    Sentence(text="session not found", kind=FailureKind.PROTOCOL, ends_session=True),
    Sentence(text="permission requested: .*auto-rejecting", kind=FailureKind.PERMISSION),
    Sentence(text="freeusagelimiterror|gousagelimiterror|creditserror", kind=FailureKind.QUOTA),
    Sentence(text="usage limit", kind=FailureKind.QUOTA),
    Sentence(text="api key is missing", kind=FailureKind.AUTH),
    Sentence(text="cannot connect to api|unable to connect", kind=FailureKind.NETWORK),
    *SERVICE_SENTENCES,
)

#: Failures that are known by their names.
NAMES = {
    "ProviderAuthError": FailureKind.AUTH,
    "ContextOverflowError": FailureKind.CONTEXT_LENGTH,
    "MessageAbortedError": FailureKind.CANCELLED,
}


def kind_of_failure(failure: Failure) -> FailureKind | None:
    """What a failure means: by its name, a known sentence, its status, or that trying again might help."""
    data = failure.data
    is_weak = FailureKind.NETWORK if data.is_retryable else None
    text = f"{data.message} {data.response_body}"
    return NAMES.get(failure.name) or kind_of_text(text) or kind_of_status(data.status_code) or is_weak


def kind_of_text(text: str) -> FailureKind | None:
    """What a known sentence in the text means."""
    return kind_in(text, SENTENCES)
