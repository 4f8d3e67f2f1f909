"""What Codex's failures mean: tables from its words to our kinds.

Sources: recorded runs of Codex 0.169.0 (``tests/samples/codex``) and the sentences of that program.
"""

from __future__ import annotations

import re

from kokino.agents.drivers.signs import Sentence, kind_in
from kokino.agents.failures import FailureKind

#: First match wins; the program's apostrophes are now straight, now typographic.
SENTENCES = (
    Sentence(text="no rollout found", kind=FailureKind.PROTOCOL, ends_session=True),
    Sentence(text="no saved session found", kind=FailureKind.PROTOCOL, ends_session=True),
    Sentence(text="no thread with id", kind=FailureKind.PROTOCOL, ends_session=True),
    Sentence(text="hit your usage limit", kind=FailureKind.QUOTA),
    Sentence(text="hit your spend cap", kind=FailureKind.QUOTA),
    Sentence(text="out of credits", kind=FailureKind.QUOTA),
    Sentence(text="quota exceeded", kind=FailureKind.QUOTA),
    Sentence(text="exceeded your current quota", kind=FailureKind.QUOTA),
    Sentence(text="upgrade to plus", kind=FailureKind.QUOTA),
    Sentence(text="session budget exceeded", kind=FailureKind.QUOTA),
    Sentence(text="at capacity", kind=FailureKind.RATE_LIMIT),
    Sentence(text="capacity (is )?unavailable", kind=FailureKind.RATE_LIMIT),
    Sentence(text="rate limit (exceeded|reached)", kind=FailureKind.RATE_LIMIT),
    Sentence(text="ran out of room in the model's context window", kind=FailureKind.CONTEXT_LENGTH),
    Sentence(text="exceeds the context window", kind=FailureKind.CONTEXT_LENGTH),
    Sentence(text="access token could not be refreshed", kind=FailureKind.AUTH),
    Sentence(text="authentication session could not be refreshed", kind=FailureKind.AUTH),
    Sentence(text="sign in again", kind=FailureKind.AUTH),
    Sentence(text="not logged in", kind=FailureKind.AUTH),
    # The variable that a provider's key is taken from.
    Sentence(text="missing environment variable", kind=FailureKind.AUTH),
    Sentence(text="not inside a trusted directory", kind=FailureKind.PERMISSION),
    # Half an installation: npm left the program itself out.
    Sentence(text="missing optional dependency", kind=FailureKind.CLI_MISSING),
    # It does not say that no login could help, but that this place may not connect.
    Sentence(text="access blocked by cloudflare", kind=FailureKind.NETWORK),
    # All that it says of a plain 500.
    Sentence(text="experiencing high demand", kind=FailureKind.NETWORK),
)

#: What tells something only where no status does.
WEAK_SENTENCES = (
    Sentence(text="turn aborted|interrupted \\(ctrl-c\\)", kind=FailureKind.CANCELLED),
    Sentence(text="stream disconnected", kind=FailureKind.NETWORK),
    Sentence(text="connection failed", kind=FailureKind.NETWORK),
    Sentence(text="error sending request", kind=FailureKind.NETWORK),
    Sentence(text="error while reading the server response", kind=FailureKind.NETWORK),
    Sentence(text="request timed out|idle timeout", kind=FailureKind.NETWORK),
    Sentence(text="^reconnecting", kind=FailureKind.NETWORK),
)

#: Standard error about wrong flags and settings: the line that names them comes first, how to get help last.
REFUSAL = Sentence(text="^error[: ]", kind=FailureKind.CRASH)

_STATUS = re.compile(r"\bstatus:? (\d{3})\b")


def kind_of_text(text: str) -> FailureKind | None:
    """What an error's text means: a known sentence, else the status in it, else what is said without one."""
    return kind_in(text, SENTENCES, _STATUS) or kind_in(text, WEAK_SENTENCES)
