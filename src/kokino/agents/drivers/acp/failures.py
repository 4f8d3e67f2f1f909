"""What failures mean that an agent tells by the Agent Client Protocol: sentences, codes, stop reasons.

Agents behind the protocol are of any make, so the sentences are those of the models' services, as several
agents hand them on (recorded: Gemini CLI 0.61.0, OpenCode 1.18.33, Qwen Code 0.15.10: ``tests/samples/acp``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from kokino.agents.drivers.signs import Sentence, kind_of_status, sentence_in
from kokino.agents.drivers.text import ERROR_LIMIT, one_line
from kokino.agents.failures import FailureKind

#: First match wins: a used-up quota is often told with the status of too many requests.
SENTENCES = (
    Sentence(text="not your usage limit", kind=FailureKind.RATE_LIMIT),
    Sentence(text="quota", kind=FailureKind.QUOTA),
    Sentence(text="usage limit", kind=FailureKind.QUOTA),
    Sentence(text="credit balance", kind=FailureKind.QUOTA),
    Sentence(text=r"payment required|billing", kind=FailureKind.QUOTA),
    Sentence(text=r"rate.?limit|too many requests", kind=FailureKind.RATE_LIMIT),
    Sentence(text="overloaded", kind=FailureKind.RATE_LIMIT),
    Sentence(text=r"prompt is too long|context.?(length|window|limit)", kind=FailureKind.CONTEXT_LENGTH),
    Sentence(text=r"authentication (is )?required|failed to authenticate", kind=FailureKind.AUTH),
    Sentence(text=r"unauthori[sz]ed|unauthenticated|not logged in", kind=FailureKind.AUTH),
    Sentence(text=r"(invalid|incorrect|missing) api.?key|api.?key (is )?(not valid|required|missing)",
             kind=FailureKind.AUTH),
    Sentence(text=r"econnrefused|econnreset|enotfound|etimedout|socket hang up", kind=FailureKind.NETWORK),
    Sentence(text=r"fetch failed|connection error|network error|unable to connect", kind=FailureKind.NETWORK),
    Sentence(text=r"service unavailable|bad gateway|gateway timeout|timed out", kind=FailureKind.NETWORK),
)  # fmt: skip

#: The protocol's own error codes; any other negative one is JSON-RPC's and says nothing of the cause.
CODES = {-32000: FailureKind.AUTH, -32800: FailureKind.CANCELLED}
#: The code for a resource that is not there, which for ``session/load`` is the session; and JSON-RPC's for a
#: method that is not there, where an agent only says that it can load.
NO_SESSION_CODES = frozenset({-32002, -32601})
#: What agents say instead, looked for in message and data: OpenCode's "service failure" names its part in the
#: data alone; ``No saved session found`` and ``Session not found`` are the words of several.
NO_SESSION = re.compile(
    r"invalid session id|service failure.*\"service\":\"session\"|(unknown|no such) (session|thread)"
    r"|no (\w+ )?(session|conversation|thread|rollout)s? (was )?(found|with)"
    r"|(session|conversation|thread)( id)?( \S+)? (was |is |does )?not (found|known|exist)",
    re.IGNORECASE | re.DOTALL,
)
#: An HTTP status in a sentence: first of all in it, or behind a word that announces one.
STATUS = re.compile(r"(?:^|\b(?:status|code|http|error)\b\W{0,3})([45]\d\d)\b", re.IGNORECASE)

#: What ends a turn without an answer, and how it is told. REFUSED would not do for a refusal: that is ours.
STOPS: Mapping[str, tuple[FailureKind, str]] = {
    "max_tokens": (FailureKind.MAX_TURNS, "it stopped at its model's limit of tokens for one answer"),
    "max_turn_requests": (FailureKind.MAX_TURNS, "it stopped at its limit of model requests for one turn"),
    "refusal": (FailureKind.PERMISSION, "the agent refuses to go on with this prompt"),
    "cancelled": (FailureKind.CANCELLED, "the agent says that the turn was cancelled"),
}


def kind_of_error(code: int, text: str) -> FailureKind | None:
    """What an error of the agent means; None where it tells only that something went wrong."""
    if (sentence := sentence_in(text, SENTENCES)) is not None:
        return sentence.kind
    found = STATUS.search(text)
    # Gemini CLI answers with the service's HTTP status as the error's code.
    return kind_of_status(int(found[1]) if found else None) or kind_of_status(code) or CODES.get(code)


def is_unknown_session(code: int, message: str, data: Any) -> bool:
    """True where an error of ``session/load`` says that there is no such session.

    Anything else may pass, a database that is locked, a disk that is full, and must not cost the session.
    """
    told = f"{message} {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}"
    return code in NO_SESSION_CODES or NO_SESSION.search(told[: 8 * ERROR_LIMIT]) is not None


def text_of_error(message: str, data: Any) -> str:
    """An error's message and what its data adds, as one line."""
    details = data
    if isinstance(data, Mapping):
        details = next((data[key] for key in ("details", "detail", "message") if key in data), None)
    if not isinstance(details, str) or not details or details in message:
        return one_line(message or "an error without a message")
    return one_line(f"{message}: {details}" if message else details)
