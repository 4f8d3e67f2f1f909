"""Sessions in the database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from kokino.agents.model import Session
from kokino.storage.schema import sessions


def get(conn: Connection, agent_id: str, cli_type: str) -> Session | None:
    """The agent's session on that CLI type, or None."""
    row = conn.execute(
        select(sessions).where(sessions.c.agent_id == agent_id, sessions.c.cli_type == cli_type)
    ).one_or_none()
    return None if row is None else _session(row)


def everyone(conn: Connection) -> list[Session]:
    """All sessions, the last used first."""
    return [_session(row) for row in conn.execute(select(sessions).order_by(sessions.c.used_at.desc()))]


def begin(conn: Connection, session: Session) -> None:
    """Remember a new session."""
    conn.execute(
        insert(sessions).values(
            agent_id=session.agent_id,
            cli_type=session.cli_type,
            session_id=session.session_id,
            conversation_id=session.conversation_id,
            is_established=session.is_established,
            created_at=session.created_at,
            used_at=session.used_at,
        )
    )


def establish(conn: Connection, agent_id: str, cli_type: str, *, session_id: str, now: datetime) -> None:
    """The CLI has confirmed the session under `session_id`: from now on it is resumed."""
    conn.execute(
        update(sessions)
        .where(sessions.c.agent_id == agent_id, sessions.c.cli_type == cli_type)
        .values(session_id=session_id, is_established=True, used_at=now)
    )


def renew(conn: Connection, agent_id: str, cli_type: str, *, session_id: str, now: datetime) -> None:
    """Put a new session, which the CLI has yet to begin, in the place of one that it does not know any more.

    The conversation goes on: it is the person's, and what was said was said.
    """
    conn.execute(
        update(sessions)
        .where(sessions.c.agent_id == agent_id, sessions.c.cli_type == cli_type)
        .values(session_id=session_id, is_established=False, used_at=now, taken=None)
    )


def note_taken(conn: Connection, agent_id: str, cli_type: str, taken: Mapping[str, float]) -> None:
    """Remember what the CLI said that the whole session has taken so far."""
    conn.execute(
        update(sessions)
        .where(sessions.c.agent_id == agent_id, sessions.c.cli_type == cli_type)
        .values(taken=dict(taken))
    )


def forget(conn: Connection, agent_id: str, cli_type: str | None = None) -> int:
    """Drop the agent's session on one CLI type, or all of them; how many there were."""
    gone = delete(sessions).where(sessions.c.agent_id == agent_id)
    if cli_type is not None:
        gone = gone.where(sessions.c.cli_type == cli_type)
    return conn.execute(gone).rowcount


def _session(row: Row[Any]) -> Session:
    return Session(
        agent_id=row.agent_id,
        cli_type=row.cli_type,
        session_id=row.session_id,
        conversation_id=row.conversation_id,
        is_established=row.is_established,
        created_at=row.created_at,
        used_at=row.used_at,
        taken=row.taken,
    )
