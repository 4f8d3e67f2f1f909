"""Tokens: what they grant, until when, and that nobody else can make one."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokino.errors import Denied
from kokino.tokens import Grant, Scope, Tokens

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TOKENS = Tokens(b"k" * 32)
GOOD = TOKENS.mint("playbook disk", {Scope.READ, Scope.RUN}, ends_at=NOW + SECOND)


def test_a_token_gives_back_who_asks_and_what_they_may() -> None:
    """Nothing is stored: the key alone proves it."""
    assert TOKENS.check(GOOD, now=NOW) == Grant(
        subject="playbook disk", scopes=frozenset({Scope.READ, Scope.RUN})
    )


def test_a_token_is_over_at_its_end() -> None:
    """The instant itself is already too late."""
    with pytest.raises(Denied, match="the token is over"):
        TOKENS.check(GOOD, now=NOW + SECOND)


def test_another_key_knows_no_token_of_ours() -> None:
    """A broker takes only its own."""
    with pytest.raises(Denied, match="not made by this broker"):
        Tokens(b"x" * 32).check(GOOD, now=NOW)


@given(st.integers(min_value=0, max_value=len(GOOD) - 1), st.characters(categories=("L", "N", "P")))
def test_no_character_of_a_token_can_be_changed(place: int, other: str) -> None:
    """Neither the claims nor the signature."""
    changed = GOOD[:place] + other + GOOD[place + 1 :]
    if changed != GOOD:
        with pytest.raises(Denied):
            TOKENS.check(changed, now=NOW)


@given(st.text())
def test_whatever_somebody_sends_is_denied_and_breaks_nothing(text: str) -> None:
    """Letters of any alphabet, any number of dots, or nothing."""
    for token in (text, f"kk1.{text}", f"kk1.{text}.{text}"):
        with pytest.raises(Denied):
            TOKENS.check(token, now=NOW)


def test_admin_holds_every_scope_and_others_only_their_own() -> None:
    """No scope but admin is above another."""
    admin = Grant(subject="admin", scopes=frozenset({Scope.ADMIN}))
    assert all(admin.allows(scope) for scope in Scope)
    for given_scope in set(Scope) - {Scope.ADMIN}:
        grant = Grant(subject="x", scopes=frozenset({given_scope}))
        assert {scope for scope in Scope if grant.allows(scope)} == {given_scope}


def test_the_key_is_made_once_for_this_user_only(tmp_path: Path) -> None:
    """A restart knows the tokens of before."""
    path = tmp_path / "broker" / "token.key"
    token = Tokens.open(path).mint("admin", [Scope.ADMIN], ends_at=NOW + SECOND)
    assert Tokens.open(path).check(token, now=NOW).subject == "admin"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("held", [b"", b"short"])
def test_a_key_that_was_never_written_whole_is_made_anew(tmp_path: Path, held: bytes) -> None:
    """A broker that died while it wrote its first key must not leave one that anybody can guess."""
    path = tmp_path / "token.key"
    path.write_bytes(held)
    token = Tokens.open(path).mint("admin", [Scope.ADMIN], ends_at=NOW + SECOND)
    with pytest.raises(Denied):
        Tokens(held).check(token, now=NOW)
    assert Tokens.open(path).check(token, now=NOW).subject == "admin"
