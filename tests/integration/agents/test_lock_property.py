"""Whatever is tried in whatever order: only the holder's token releases, and tokens only grow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine

from kokino.agents import lock_store
from kokino.storage.schema import agent_locks

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
#: None takes the lock; a number is a token that somebody tries to release with.
TRIES = st.lists(st.none() | st.integers(min_value=0, max_value=8), max_size=40)


@contextmanager
def empty() -> Iterator[Connection]:
    """A table of locks in memory."""
    engine = create_engine("sqlite://")
    with engine.begin() as conn:
        agent_locks.create(conn)
        yield conn
    engine.dispose()


@given(TRIES)
def test_only_the_holders_token_releases(tries: list[int | None]) -> None:
    """Compared after each try with what a slip of paper would hold: the holder and the last token."""
    holder: int | None = None
    last = 0
    with empty() as conn:
        for number, token in enumerate(tries):
            if token is None:
                got = lock_store.acquire(conn, "a", f"exec-{number}", now=NOW)
                assert got == (last + 1 if holder is None else None)
                if got is not None:
                    holder = last = got
            else:
                assert lock_store.release(conn, "a", token) == (token == holder)
                holder = None if token == holder else holder
            lock = lock_store.get(conn, "a")
            assert (lock is not None and lock.execution_id is not None) == (holder is not None)
