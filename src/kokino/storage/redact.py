"""Take secrets out of what is kept for people to read."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "[redacted]"

#: Shapes of well-known tokens, for those that nobody told us of.
_SHAPES = re.compile(
    r"""
      kk1\.[\w-]+\.[\w-]+                        # ours
    | sk-[A-Za-z0-9_-]{16,}                      # OpenAI, Anthropic
    | gh[pousr]_[A-Za-z0-9]{20,}                 # GitHub
    | xox[abprs]-[A-Za-z0-9-]{10,}               # Slack
    | AIza[A-Za-z0-9_-]{30,}                     # Google
    | https://hooks\.slack\.com/services/[\w/]+  # a webhook is its own password
    | (?<=://)[^\s/@:]*:[^\s/@]+(?=@)            # a name and a password in an address
    | (?<=[Bb]earer\ )[A-Za-z0-9._~+/=-]{8,}
    """,
    re.VERBOSE,
)


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` with `secrets` and everything that looks like a token masked.

    The longest first: one that begins like another would else leave its end behind.
    """
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return _SHAPES.sub(MASK, text)
