"""Two sides are compared in layers; the first that can tell decides."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokino.shadow.compare import LETTERS, LONGEST, compare
from kokino.shadow.model import Changed, Layer, Result, Verdict

MATCH, MISMATCH = Verdict.MATCH, Verdict.MISMATCH


def said(content: str = "Done.", *, changed: Changed | None = None) -> Result:
    """A side that came to an answer."""
    return Result(state="completed", content=content, changed=changed)


def failed(kind: str, state: str = "failed") -> Result:
    """A side that did not."""
    return Result(state=state, kind=kind)


@dataclass(frozen=True)
class Row:
    """Why it is here, the two sides, and what shall come of them."""

    why: str
    tmux: Result
    headless: Result
    verdict: Verdict
    layer: Layer
    words: str


LONG = "word " * (LETTERS // 4)
ROWS = [
    Row("letter by letter", said("A b."), said("A b."), MATCH, Layer.EXACT, "letter by letter"),
    Row("both silent", said(""), said(""), MATCH, Layer.EXACT, "the same"),
    Row(
        "other times",
        said("Done at 2026-01-05T09:00:00Z in 1.2 s."),
        said("Done at 2026-01-05T09:00:07Z in 350 ms."),
        MATCH,
        Layer.NORMALISED,
        "times",
    ),
    Row("wrapped by a screen", said("one two\n  three"), said("one two three"), MATCH, Layer.NORMALISED, ""),
    Row(
        "a word in twenty-five",
        said(" ".join(["word"] * 49 + ["left"])),
        said(" ".join(["word"] * 49 + ["right"])),
        MATCH,
        Layer.SIMILARITY,
        "are asked for",
    ),
    Row("another answer", said("It is 42."), said("No."), MISMATCH, Layer.SIMILARITY, "95 % are needed"),
    Row("one is silent", said("It is 42."), said(""), MISMATCH, Layer.SIMILARITY, "0 % alike"),
    Row(
        "long, and but for a little the same",
        said(LONG + "this end"),
        said(LONG + "that end"),
        MATCH,
        Layer.SIMILARITY,
        "alike",
    ),
    Row("long, and other", said(LONG), said("other " * LETTERS), MISMATCH, Layer.SIMILARITY, "less alike"),
    Row(
        "one failed",
        said(),
        failed("auth"),
        MISMATCH,
        Layer.OUTCOME,
        "tmux completed, headless failed (auth)",
    ),
    Row("both failed alike", failed("auth"), failed("auth"), MATCH, Layer.OUTCOME, "both failed (auth)"),
    Row("both failed, otherwise", failed("auth"), failed("crash"), MISMATCH, Layer.OUTCOME, "(crash)"),
    Row(
        "timeout is no failure",
        failed("timeout", "timeout"),
        failed("timeout"),
        MISMATCH,
        Layer.OUTCOME,
        "headless failed",
    ),
    Row(
        "the same files, the same text",
        said(changed={"a": "1", "b": None}),
        said(changed={"b": None, "a": "1"}),
        MATCH,
        Layer.EXACT,
        "",
    ),
    Row(
        "another content, whatever they say",
        said(changed={"a.py": "1"}),
        said(changed={"a.py": "2"}),
        MISMATCH,
        Layer.FILES,
        "files differ: a.py",
    ),
    Row(
        "one left a file alone that the other removed",
        said(changed={}),
        said(changed={"a.py": None}),
        MISMATCH,
        Layer.FILES,
        "a.py",
    ),
    Row(
        "many files",
        said(changed={}),
        said(changed=dict.fromkeys("edcba", "1")),
        MISMATCH,
        Layer.FILES,
        "a, b, c and 2 more",
    ),
    Row("files of one side unknown", said(changed={"a": "1"}), said(), MATCH, Layer.EXACT, ""),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.why)
def test_the_first_layer_that_can_tell_decides(row: Row) -> None:
    """With the reason in words."""
    found = compare(row.tmux, row.headless)
    assert (found.verdict, found.layer) == (row.verdict, row.layer), found.reason
    assert row.words in found.reason


def test_an_agents_threshold_decides_how_alike_is_alike_enough() -> None:
    """The same pair matches at 0.7 and not at 0.95; the figure is the same."""
    pair = said("alpha beta gamma"), said("alpha beta delta")
    strict, lax = compare(*pair), compare(*pair, threshold=0.7)
    assert (strict.verdict, lax.verdict) == (MISMATCH, MATCH)
    assert strict.similarity == lax.similarity
    assert 0.7 <= (lax.similarity or 0) < 0.95


def test_a_share_under_the_threshold_is_not_rounded_up_to_it() -> None:
    """94.99 % does not read as 95 %."""
    found = compare(said("x" * 9499 + "y" * 501), said("x" * 9499 + "z" * 501))
    assert found.verdict is MISMATCH
    assert found.reason == "94.9 % alike; 95 % are needed"


def test_the_longest_answers_are_the_same_or_not() -> None:
    """Nothing is normalised or measured that would take minutes."""
    text = "1 s " * (LONGEST // 4 + 1)
    assert compare(said(text), said(text)).layer is Layer.EXACT
    found = compare(said(text), said(text.replace("1", "2", 1)))
    assert (found.verdict, found.layer, found.similarity) == (MISMATCH, Layer.SIMILARITY, None)
    assert "more than 1,000,000 characters" in found.reason


@given(st.text(), st.text())
def test_which_side_says_what_makes_no_difference(one: str, other: str) -> None:
    """Verdict, layer and similarity are the same the other way round."""
    found, turned = compare(said(one), said(other)), compare(said(other), said(one))
    assert (found.verdict, found.layer, found.similarity) == (
        turned.verdict,
        turned.layer,
        turned.similarity,
    )


@given(st.text())
def test_an_answer_matches_itself(text: str) -> None:
    """Letter by letter."""
    assert compare(said(text), said(text)).layer is Layer.EXACT


@given(
    st.dictionaries(st.sampled_from("abc"), st.none() | st.sampled_from("12")),
    st.dictionaries(st.sampled_from("abc"), st.none() | st.sampled_from("12")),
)
def test_changed_files_match_only_when_they_are_equal(one: Changed, other: Changed) -> None:
    """No path and no content may differ."""
    is_match = compare(said(changed=one), said(changed=other)).verdict is MATCH
    assert is_match == (one == other)
