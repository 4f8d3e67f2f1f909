"""A mismatch as a person reads it: the files that differ, then the two answers as a unified diff."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Collection, Iterator

from kokino.shadow.model import Changed, Result
from kokino.storage.redact import redacted
from kokino.storage.text import storable

#: What is kept of a difference, in characters: a screen or two to read, not a second copy of two answers.
LONGEST = 16_000
#: Lines of an answer that are compared; comparing takes time that grows with both.
LINES = 2_000
#: Lines are wrapped to so many characters.
WIDTH = 100
#: So many characters of an answer are wrapped: what that takes grows with the square of the longest word.
WRAPPED = 2 * LINES * WIDTH
#: Files that are listed.
FILES = 100


def difference(
    tmux: Result, headless: Result, *, files: str | None = None, secrets: Collection[str] = ()
) -> str:
    """Both sides, tmux first; without secrets, and cut where it is long.

    `files` is a diff of the files, where there is one; otherwise they are listed.
    """
    told = _files(tmux.changed, headless.changed) if files is None else files.splitlines()
    # Before they are wrapped: a secret in two lines would not be known again.
    texts = [redacted(side.content, secrets) for side in (tmux, headless)]
    lines = [*_outcomes(tmux, headless), *told, *_texts(*texts)]
    if texts[0] == texts[1] and tmux.content != headless.content:
        lines.append("… the answers differ in secrets alone, which are not shown")
    whole = redacted(storable("\n".join(lines)), secrets)
    if len(whole) <= LONGEST:
        return whole
    kept = whole[:LONGEST].rpartition("\n")[0]
    return f"{kept}\n… {whole.count(chr(10)) - kept.count(chr(10)):,} more lines"


def _outcomes(tmux: Result, headless: Result) -> Iterator[str]:
    if (tmux.state, tmux.kind) != (headless.state, headless.kind):
        for sign, side in (("-", tmux), ("+", headless)):
            yield f"{sign} outcome: {side.state}{f' ({side.kind})' if side.kind else ''}"


def _files(tmux: Changed | None, headless: Changed | None) -> Iterator[str]:
    if tmux is None or headless is None or tmux == headless:
        return
    differing = sorted(path for path in {*tmux, *headless} if _said(tmux, path) != _said(headless, path))
    for path in differing[:FILES]:
        yield f"- {path}: {_said(tmux, path)}"
        yield f"+ {path}: {_said(headless, path)}"
    if len(differing) > FILES:
        yield f"… {len(differing) - FILES:,} more files"


def _said(changed: Changed, path: str) -> str:
    if path not in changed:
        return "unchanged"
    held = changed[path]
    if held is None:
        return "removed"
    kind, _, digest = held.partition(":")
    return f"{kind} {digest[:12]}"


def _texts(tmux: str, headless: str) -> Iterator[str]:
    one, other = _lines(tmux), _lines(headless)
    yield from difflib.unified_diff(
        one[:LINES], other[:LINES], fromfile="tmux", tofile="headless", lineterm="", n=2
    )
    for lines, text, name in ((one, tmux, "tmux"), (other, headless, "headless")):
        if len(lines) > LINES:
            yield f"… {len(lines) - LINES:,} more lines of {name} are not shown"
        if len(text) > WRAPPED:
            yield f"… {len(text) - WRAPPED:,} more characters of {name} are not shown"


def _lines(text: str) -> list[str]:
    """A paragraph in one line would be one difference."""
    return [part for line in text[:WRAPPED].splitlines() for part in textwrap.wrap(line, WIDTH) or [""]]
