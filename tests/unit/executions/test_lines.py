"""Bytes in any pieces become the same lines."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokino.executions.output import lines
from kokino.executions.output.lines import Line, LineSplitter

#: Bytes with many newlines in them, and bytes that are no text.
OUTPUT = st.binary(max_size=200) | st.lists(st.sampled_from([b"\n", b"a", b"bc", b"\xff", b"\r"])).map(
    b"".join
)


def split(chunks: list[bytes]) -> list[Line]:
    """What comes out when these go in."""
    splitter = LineSplitter()
    return [line for chunk in chunks for line in splitter.feed(chunk)] + splitter.finish()


@st.composite
def chunked(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """Some output, and a way in which it may arrive."""
    whole = draw(OUTPUT)
    cuts = sorted(draw(st.lists(st.integers(min_value=0, max_value=len(whole)))))
    edges = [0, *cuts, len(whole)]
    return whole, [whole[start:end] for start, end in pairwise(edges)]


@given(chunked())
def test_any_chunking_gives_the_same_lines(output: tuple[bytes, list[bytes]]) -> None:
    """Those of the whole, cut at its newlines; a half line at the end is one, an empty rest is none."""
    whole, chunks = output
    expected = whole.split(b"\n")
    if not expected[-1]:
        expected.pop()
    assert [line.body for line in split(chunks)] == expected


def test_a_line_comes_out_as_soon_as_it_is_whole() -> None:
    """Not when the next one begins, nor at the end."""
    splitter = LineSplitter()
    assert splitter.feed(b"one\ntw") == [Line(b"one", 3)]
    assert splitter.feed(b"o\n\n") == [Line(b"two", 3), Line(b"", 0)]
    assert splitter.finish() == []


@given(chunked())
def test_a_line_too_long_is_cut_and_its_length_told(output: tuple[bytes, list[bytes]]) -> None:
    """However it arrives; what comes behind it is whole again."""
    whole, chunks = output
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "LONGEST_LINE", 3)
        found = split(chunks)
    patch_free = split([whole])
    assert found == [Line(line.body[:3], line.size) for line in patch_free]


def test_memory_stays_below_one_longest_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CLI that writes without a newline for ever fills nothing."""
    monkeypatch.setattr(lines, "LONGEST_LINE", 100)
    splitter = LineSplitter()
    for _ in range(1000):
        splitter.feed(b"x" * 64)
    assert len(splitter._pending) == 100
    assert splitter.finish() == [Line(b"x" * 100, 64_000)]
