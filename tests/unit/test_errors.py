"""The exception tree: statuses, words and messages."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from kokino import errors
from kokino.errors import ConfigInvalid, Fault, KokinoError


def tree(root: type[KokinoError]) -> Iterator[type[KokinoError]]:
    """A class and all below it that errors.py declares."""
    yield root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child)


def test_every_error_answers_with_a_real_status_and_a_word_of_its_own() -> None:
    """A client can tell each from all others."""
    known = list(tree(KokinoError))
    assert len({error.code for error in known}) == len(known)
    for error in known:
        assert HTTPStatus(error.status) >= HTTPStatus.BAD_REQUEST


def test_the_drawing_of_the_tree_names_every_error() -> None:
    """The picture at the top of the file is the file's own content."""
    drawn = str(errors.__doc__)
    assert [error.__name__ for error in tree(KokinoError) if error.__name__ not in drawn] == []


def test_a_fault_reads_as_editors_write_places() -> None:
    """File and line first, so that a terminal makes a link of it."""
    fault = Fault(field="server.port", message="is missing", file="/home/kokino.toml", line=3)
    assert str(fault) == "/home/kokino.toml:3: server.port: is missing"
    assert str(Fault(field="prompt", message="is empty")) == "prompt: is empty"


def test_one_fault_is_not_called_faults() -> None:
    """And each stands on a line of its own."""
    fault = Fault(field="a", message="b")
    assert ConfigInvalid([fault]).message == "the configuration has 1 fault:\n  a: b"
    assert ConfigInvalid([fault, fault]).message == "the configuration has 2 faults:\n  a: b\n  a: b"
