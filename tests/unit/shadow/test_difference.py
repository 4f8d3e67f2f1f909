"""A mismatch reads as a diff, without secrets, and never without end."""

from __future__ import annotations

import pytest

from kokino.shadow.difference import FILES, LONGEST, WRAPPED, difference
from kokino.shadow.model import Result


def said(content: str, **more: object) -> Result:
    """A side that came to an answer."""
    return Result(**{"state": "completed", "content": content, **more})  # type: ignore[arg-type]


def test_two_answers_are_told_by_the_lines_that_differ() -> None:
    """tmux is -, headless is +; long paragraphs are wrapped."""
    told = difference(said("one\ntwo\nthree"), said("one\n2\nthree"))
    assert told.splitlines() == [
        "--- tmux",
        "+++ headless",
        "@@ -1,3 +1,3 @@",
        " one",
        "-two",
        "+2",
        " three",
    ]
    wrapped = difference(said("word " * 100), said("word " * 99 + "end"))
    assert max(map(len, wrapped.splitlines())) <= 101


def test_outcomes_and_files_are_told_first() -> None:
    """A file that one side left alone is named for what the other did."""
    failed = Result(state="failed", kind="auth", changed={"b": "program:0123456789abcdef"})
    told = difference(said("ok", changed={"a": None, "b": "file:f"}), failed).splitlines()
    assert told[:6] == [
        "- outcome: completed",
        "+ outcome: failed (auth)",
        "- a: removed",
        "+ a: unchanged",
        "- b: file f",
        "+ b: program 0123456789ab",
    ]


def test_a_diff_of_files_takes_the_place_of_their_list() -> None:
    """Where git can tell it."""
    told = difference(said("", changed={"a": "file:1"}), said("", changed={}), files="diff --git a/a b/a")
    assert told == "diff --git a/a b/a"


def test_secrets_are_masked() -> None:
    """Those that somebody tells of and those that look like one."""
    told = difference(said("key hunter2-hunter2"), said("key sk-abcdefghijklmnop true"))
    assert "sk-abc" not in told
    assert "true" in told
    masked = difference(said("key hunter2-hunter2"), said("no"), secrets=["hunter2-hunter2"])
    assert "hunter2" not in masked


@pytest.mark.parametrize("secret", ["sk-canary-0123-canary-4567-canary", f"sk-{'canary' * 30}"])
def test_a_secret_that_does_not_fit_a_line_is_masked(secret: str) -> None:
    """Wrapped first, it would be in two lines, and neither looks like one."""
    told = difference(said(f"{'word ' * 16}{secret} end"), said("no"))
    assert "canary" not in told
    assert "[redacted] end" in told
    alone = difference(said(secret), said("sk-abcdefghijklmnop"))
    assert alone == "… the answers differ in secrets alone, which are not shown"


def test_what_is_long_is_cut_and_says_so() -> None:
    """Lines, and files."""
    told = difference(said("a\n" * 30_000), said("b\n" * 30_000))
    assert len(told) <= LONGEST + 50
    assert told.splitlines()[-1].startswith("… ")
    many = {f"f{number:04}": f"file:{number}" for number in range(FILES + 5)}
    assert "… 5 more files" in difference(said("", changed=many), said("", changed={}))


def test_a_word_without_end_is_not_wrapped_to_its_end() -> None:
    """That would take minutes; how much is left out is said."""
    one = difference(said("x" * (4 << 20)), said("y"))
    assert len(one) <= LONGEST + 50
    short = difference(said("word\n" * 3 + " " * WRAPPED), said("y"))
    assert short.splitlines()[-1] == "… 15 more characters of tmux are not shown"
