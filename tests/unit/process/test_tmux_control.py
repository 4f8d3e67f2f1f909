"""tmux's control mode: what is read from it, and what is written to it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokino.errors import ProcessError
from kokino.process.tmux.control import Exit, Message, Parser, Reply, command_line
from kokino.process.tmux.terminal import pasteable


@dataclass(frozen=True, kw_only=True)
class Case:
    """What tmux writes, and what it means."""

    why: str
    told: bytes
    means: tuple[Message, ...]


CASES = [
    Case(
        why="a command that printed two lines",
        told=b"%begin 1363006971 2 1\n0: ksh* (1 panes)\n1: vi (1 panes)\n%end 1363006971 2 1\n",
        means=(Reply(is_good=True, lines=("0: ksh* (1 panes)", "1: vi (1 panes)")),),
    ),
    Case(
        why="a command that was refused",
        told=b"%begin 1 7 1\ncan't find pane: %9\n%error 1 7 1\n",
        means=(Reply(is_good=False, lines=("can't find pane: %9",)),),
    ),
    Case(
        why="a printed line that looks like the end of another command is a line",
        told=b"%begin 5 7 1\n%end 5 8 1\n%begin 5 9 1\n%exit\n%end 5 7 1\n",
        means=(Reply(is_good=True, lines=("%end 5 8 1", "%begin 5 9 1", "%exit")),),
    ),
    Case(why="the server is gone", told=b"%exit server exited\n", means=(Exit("server exited"),)),
    Case(why="the client was detached", told=b"%exit\n", means=(Exit(""),)),
    Case(why="whatever else it tells is passed over", told=b"%window-add @1\n%output %3 a\n", means=()),
    Case(why="what has no mark is no message", told=b"\x1bP1000p\nhello\n", means=()),
    Case(why="what has no newline yet may go on", told=b"%exit serv", means=()),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_what_tmux_tells(case: Case) -> None:
    """Each line is an answer's, or a message of its own."""
    assert tuple(Parser().feed(case.told)) == case.means


@given(st.lists(st.integers(min_value=0, max_value=400), max_size=8))
def test_where_the_stream_is_cut_changes_nothing(cuts: list[int]) -> None:
    """A read ends anywhere: in the middle of a mark, a character, an escape."""
    told = b"".join(case.told for case in CASES if not case.told.startswith(b"%exit serv"))
    whole = Parser().feed(told)
    parser, places = Parser(), sorted({0, *(min(cut, len(told)) for cut in cuts), len(told)})
    pieces = [told[begin:end] for begin, end in pairwise(places)]
    assert [message for piece in pieces for message in parser.feed(piece)] == whole


def test_each_word_of_a_command_is_taken_as_it_is() -> None:
    """Nothing in it is a variable, a quote or another command to tmux."""
    line = command_line("send-keys", "it's", "$HOME; kill-server", 'a "b" #{c}')
    assert line == b"""'send-keys' 'it'\\''s' '$HOME; kill-server' 'a "b" #{c}'\n"""


@pytest.mark.parametrize("sign", ["\n", "\r", "\0"])
def test_a_command_is_one_line(sign: str) -> None:
    """Behind a line's end would stand another command."""
    with pytest.raises(ProcessError, match="one line"):
        command_line("send-keys", f"a{sign}kill-server")


def test_nothing_in_a_prompt_acts_as_a_key() -> None:
    """The end of the paste, an escape, an interrupt: what is left of them is text."""
    assert pasteable("a\x1b[201~\x03b\x9b1m\x7f\tc\r\nd\re") == "a[201~b1m\tc\nd\ne"
    assert pasteable("héron 🪶\n") == "héron 🪶\n"
