"""Whether a text can be a prompt."""

from __future__ import annotations

from kokino.errors import Fault, Invalid, TooLarge

#: The longest prompt, in bytes of UTF-8: where Gemini CLI and Qwen Code cut their standard input and go on
#: with the rest left out (``MAX_STDIN_SIZE``), the strictest limit we know; Claude Code's is 10 MB.
LONGEST = 8 * 1024 * 1024


def check(prompt: str) -> None:
    """Raise `Invalid` or `TooLarge` for what is none."""
    if not prompt.strip():
        raise Invalid("the prompt is empty", [Fault(field="prompt", message="must say something")])
    if "\x00" in prompt:
        raise Invalid(
            "the prompt holds a NUL character", [Fault(field="prompt", message="must not hold \\u0000")]
        )
    try:
        size = len(prompt.encode())
    except UnicodeEncodeError as error:
        message = f"holds half a surrogate pair at character {error.start}, which is no text"
        raise Invalid("the prompt is no valid text", [Fault(field="prompt", message=message)]) from error
    if size > LONGEST:
        raise TooLarge(
            f"the prompt has {size:,} bytes, {LONGEST:,} is the most that CLIs take;"
            " put it in a file and name that"
        )
