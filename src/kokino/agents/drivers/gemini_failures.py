"""What Gemini CLI's failures mean: tables from its words and exit codes to our kinds.

Sources: recorded runs of Gemini CLI 0.61.0 (``tests/samples/gemini``), the sentences and exit codes of that
program, and the Gemini API's list of errors.
"""

from __future__ import annotations

import re

from kokino.agents.drivers.contract import Exit
from kokino.agents.drivers.signs import Sentence, kind_in, kind_of_exit, kind_of_status
from kokino.agents.failures import FailureKind

#: First match wins. They come before statuses: a 400 may be a wrong key, a 503 an overload.
SENTENCES = (
    # "Invalid session identifier" or "No previous sessions found for this project".
    Sentence(text="error resuming session", kind=FailureKind.PROTOCOL, ends_session=True),
    Sentence(text=r"session id \S+ already exists", kind=FailureKind.PROTOCOL, ends_session=True),
    Sentence(text="api key not valid|api key expired", kind=FailureKind.AUTH),
    Sentence(text="(when using gemini api, you )?must specify the gemini_api_key", kind=FailureKind.AUTH),
    Sentence(text="please set an auth method", kind=FailureKind.AUTH),
    Sentence(text="manual authorization is required", kind=FailureKind.AUTH),
    Sentence(text="(gemini cli is )?not running in a trusted directory", kind=FailureKind.PERMISSION),
    Sentence(text="no capacity available|model is overloaded", kind=FailureKind.RATE_LIMIT),
    Sentence(text="exhausted your (daily quota|capacity)", kind=FailureKind.QUOTA),
    Sentence(text="quota will reset after", kind=FailureKind.QUOTA),
    # What the service says of a limit per minute is the same as of one per day, but for this.
    Sentence(text="suggested retry after", kind=FailureKind.RATE_LIMIT),
    Sentence(text="exceeded your current quota", kind=FailureKind.QUOTA),
    Sentence(text="exceeds the maximum number of tokens", kind=FailureKind.CONTEXT_LENGTH),
    # The answer was cut, not the prompt: its limit of tokens for one answer.
    Sentence(text="response was truncated", kind=FailureKind.MAX_TURNS),
    Sentence(text="response was blocked", kind=FailureKind.PERMISSION),
    Sentence(text="max(imum)? session turns", kind=FailureKind.MAX_TURNS),
    # It says "success" after that, though it broke off: the same call came once too often.
    Sentence(text="loop detected, stopping", kind=FailureKind.MAX_TURNS),
    Sentence(text="operation cancelled", kind=FailureKind.CANCELLED),
    Sentence(text="without a finish reason", kind=FailureKind.NETWORK),
    Sentence(text="returned an empty response", kind=FailureKind.NETWORK),
    Sentence(text=r"api error: (terminated|fetch failed)|econnre|enotfound", kind=FailureKind.NETWORK),
)

#: Standard error about wrong flags: the line that names them comes first, the whole help after it.
REFUSAL = Sentence(text="^(unknown argument|invalid values|not enough arguments)", kind=FailureKind.CRASH)

#: Exit codes of its own, by its sources.
EXITS = {
    41: FailureKind.AUTH,
    53: FailureKind.MAX_TURNS,
    55: FailureKind.PERMISSION,
    130: FailureKind.CANCELLED,
}
#: The HTTP status of the failure becomes the exit code, of which a process can only give the lower 8 bits.
STATUS_OF_EXIT = {status % 256: status for status in (401, 403, 408, 413, 429, 500, 502, 503, 504)}

#: What it says on standard error in good runs too, and the traces of errors: a file, a closing brace.
CHATTER = re.compile(
    r"^(Warning: (?!stdin )|Ripgrep is not available|YOLO mode is enabled|\[STARTUP\]"
    r"|Loaded cached credentials|Error executing tool |    at |  |\})"
)

#: A retry, where its text and where its second line end: both stand on standard error, and nowhere else.
RETRY = re.compile(r"^Attempt \d+ failed|Retrying (after \d+ms|with backoff)")
_STATUS = re.compile(r'\bstatus:? (\d{3})\b|"code": ?(\d{3})\b|failed with (\d{3}) error')


def kind_of_text(text: str) -> FailureKind | None:
    """What an error's text means: a known sentence, else the HTTP status in it."""
    return kind_in(text, SENTENCES, _STATUS)


def kind_of_end(exit: Exit) -> FailureKind:
    """What its exit code says by itself."""
    code = exit.code or 0
    return EXITS.get(code) or kind_of_status(STATUS_OF_EXIT.get(code)) or kind_of_exit(exit)
