"""What may differ between two runs of the same thing is taken out of an answer, and nothing else."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokino.shadow.normalise import normalised, relocated


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("at 2026-01-05T09:00:00.123Z.", "at <time>."),
        ("at 2026-01-05 09:00:00 UTC,", "at <time>,"),
        ("at 2026-01-05T09:00:00+01:00", "at <time>"),
        ("on 2026-01-05", "on <time>"),
        ("on 01/05/2026 at 9:00 PM", "on <time>"),
        ("on 5.1.2026", "on <time>"),
        ("on Monday, January 5th, 2026", "on <time>"),
        ("on 5 Jan 2026 09:00", "on <time>"),
        ("Mon Jan  5 09:00:00 UTC 2026", "<time>"),
        ("[09:00:01] ok", "[<time>] ok"),
        ("since 1767603600", "since <time>"),
        ("since 1767603600123 ms", "since <time> ms"),
        ("took 1.5s", "took <duration>"),
        ("took 350 ms, then 2m 3s", "took <duration>, then <duration>"),
        ("took 3 seconds", "took <duration>"),
        ("took 1h20m", "took <duration>"),
        ("id 3f2504e0-4f89-11d3-9a0c-0305e82c3301", "id <id>"),
        ("commit 9fceb02d0ae598e95dc970b74767f19372d61af8", "commit <id>"),
        ("commit 9fceb02", "commit <id>"),
        ("at 0x7f3a", "at <id>"),
        ("tool toolu_01AbCdEfGh", "tool <id>"),
        ("pid 4711 ended", "pid <id> ended"),
        ("  one\n\n\ttwo  ", "one two"),
        ("⏺ Done.\n● Really.", "Done. Really."),
        ("\x1b[1mbold\x1b[0m", "bold"),
    ],
)
def test_what_may_differ_is_one_word(text: str, wanted: str) -> None:
    """Whatever stood there."""
    assert normalised(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "It is 42.",
        "3 files, 12 lines",
        "version 1.2.3",
        "src/app.py:12:30",
        "a cafe, a facade, deadbeef",
        "x = 1234567",
        "call me_and_you",
        "5 models",
        "process 3 of 4",
        "100 %",
    ],
)
def test_everything_else_stays(text: str) -> None:
    """A number is a number, a word a word."""
    assert normalised(text) == text


#: Bits that patterns are made of, so that random texts meet them.
PIECES = st.sampled_from([
    "2026", "-", "01", "05", "T", "09", ":", "00", ".", "123", "Z", " ", "\n", "ms", "s", "m", "Jan", "Mon",
    ",", "abc", "9fceb02", "toolu_", "0x", "pid", "⏺", "\x1b", "[", "1767603600", "<time>", "UTC", "+01:00",
    "/",
])  # fmt: skip


@given(st.lists(PIECES, max_size=25).map("".join) | st.text())
def test_what_is_normal_stays_as_it_is(text: str) -> None:
    """A second time changes nothing."""
    assert normalised(normalised(text)) == normalised(text)


@given(st.lists(PIECES, max_size=25).map("".join), st.sampled_from([" ", "\n", "\t", "  \n"]))
def test_whitespace_around_makes_no_difference(text: str, space: str) -> None:
    """Nor how much of it there is."""
    assert normalised(space + text + space) == normalised(text)


#: Four digits make a year.
TIMES = st.datetimes(min_value=datetime(1000, 1, 1))  # noqa: DTZ001 - hypothesis wants it so
FORMS = ("%Y-%m-%dT%H:%M:%SZ", "%d.%m.%Y", "%m/%d/%Y %I:%M %p", "%B %d, %Y", "%a %b %d %H:%M:%S UTC %Y")


@given(TIMES, TIMES, st.sampled_from(FORMS))
def test_two_times_are_the_same_in_any_usual_form(one: datetime, other: datetime, form: str) -> None:
    """As long as both are written alike."""
    first, second = (f"Built {at.strftime(form)} by hand." for at in (one, other))
    assert normalised(first) == normalised(second) == "Built <time> by hand."


def test_a_path_of_the_snapshot_reads_as_the_real_one() -> None:
    """As a whole path, and where it begins one; a longer name is another path."""
    places = {"/home/k/shadow/writer": "/src/project"}
    said = "/home/k/shadow/writer/a.py and '/home/k/shadow/writer' but /home/k/shadow/writer-2"
    assert relocated(said, places) == "/src/project/a.py and '/src/project' but /home/k/shadow/writer-2"
