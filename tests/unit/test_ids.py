"""Which ids are taken from outside, and how ours are made."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokino.ids import RESERVED, RandomIds, fault_in
from kokino.testing.ids import SequentialIds


@pytest.mark.parametrize("value", ["a", "7", "writer", "Team_1.review-2", "a" * 128])
def test_plain_words_are_ids(value: str) -> None:
    """Letters, digits and three signs, 128 at most."""
    assert fault_in(value) is None


@pytest.mark.parametrize(
    "value",
    ["", "-rf", ".ssh", "_a", "a/b", "../a", "a b", "a;b", "$HOME", "a\n", "a\x00", "ä", "a%2fb", "a" * 129],
)
def test_what_a_path_or_shell_could_trip_over_is_no_id(value: str) -> None:
    """Each with a sentence that says what would be right."""
    assert str(fault_in(value)).startswith("must start with a letter or digit")


@pytest.mark.parametrize("value", sorted(RESERVED))
def test_reserved_words_are_no_ids(value: str) -> None:
    """They stand where an id could stand in a path."""
    assert str(fault_in(value)) == f"{value!r} is a reserved word; choose another id"


@given(st.text(max_size=200))
def test_no_accepted_id_needs_quoting(value: str) -> None:
    """Whatever is accepted is plain in URLs, shells and file names."""
    if fault_in(value) is None:
        assert value.isascii()
        assert not set(value) & set("/\\ '\"`$&|;<>()*?[]{}!#~%\n\r\t\x00")


def test_ids_of_ours_are_accepted_and_differ() -> None:
    """What the broker makes could be sent back to it."""
    made = {RandomIds().new("exec") for _ in range(100)}
    assert len(made) == 100
    assert all(one.startswith("exec-") and fault_in(one) is None for one in made)


def test_both_makers_give_real_uuids() -> None:
    """Claude refuses a session id that is none."""
    for ids in (RandomIds(), SequentialIds()):
        assert uuid.UUID(ids.uuid()).version == 4


def test_sequential_ids_count_each_prefix_for_itself() -> None:
    """A test can name what it expects."""
    ids = SequentialIds()
    assert [ids.new("exec"), ids.new("turn"), ids.new("exec")] == [
        "exec-000001",
        "turn-000001",
        "exec-000002",
    ]
