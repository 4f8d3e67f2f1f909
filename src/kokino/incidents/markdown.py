"""Foreign text made safe for a Markdown file.

Agents, alert labels and error messages decide part of what a review document says. None of it may become
markup: no link or image that calls home when the file is shown, no comment that ends a part of ours.
"""

from __future__ import annotations

import re

#: Characters that would start a link, an image, emphasis, HTML or an escape.
_MARKUP = re.compile(r"[\\\[\]*<]")
#: What makes a line a heading, a quotation, a list or a fence.
_START = re.compile(r"^[#>+`~=-]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def line(text: str) -> str:
    """`text` as one line of prose."""
    return _MARKUP.sub(_escaped, " ".join(_CONTROL.sub("", text).split()))


def paragraphs(text: str) -> str:
    """`text` as prose with its own paragraphs; no line of it becomes a heading, list or fence."""
    lines = [line(part) for part in text.strip().splitlines()]
    return "\n".join(_START.sub(lambda found: f"\\{found[0]}", part) for part in lines)


def fenced(text: str, language: str = "text") -> str:
    """`text` as it is, in a fence that nothing inside it can close."""
    # A marker of ours is looked for by its exact spelling: one space more and it is none.
    body = _CONTROL.sub("", text).replace("<!--", "<! --").rstrip()
    longest = max((len(run) for run in re.findall(r"`{3,}", body)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{body}\n{fence}"


def trimmed(text: str, *, lines: int, characters: int) -> str:
    """The first `lines` lines and at most `characters` characters of `text`, and what was left out said."""
    kept = text.rstrip().splitlines()
    shown = "\n".join(kept[:lines])[:characters]
    left_out = len(kept) - len(shown.splitlines())
    if left_out > 0:
        return f"{shown}\n… {left_out} more line{'s' * (left_out > 1)}"
    return shown if len(shown) == len(text.rstrip()) else f"{shown} …"


def _escaped(found: re.Match[str]) -> str:
    return "&lt;" if found[0] == "<" else f"\\{found[0]}"
