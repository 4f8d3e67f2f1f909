"""breakers, retries, limits and what an execution took and changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

DOCUMENT = sa.JSON(none_as_null=True)


def upgrade() -> None:
    op.add_column("agents", sa.Column("retries", DOCUMENT, nullable=True))
    op.add_column(
        "agents", sa.Column("permissions", sa.String(length=16), nullable=False, server_default="ask")
    )
    op.add_column("sessions", sa.Column("taken", DOCUMENT, nullable=True))
    op.add_column("agent_locks", sa.Column("overdue_at", sa.BigInteger(), nullable=True))
    op.add_column("pauses", sa.Column("ends_at", sa.BigInteger(), nullable=True))
    _add_to_executions()
    op.add_column("records", sa.Column("attempt", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("records", sa.Column("begins_at", sa.BigInteger(), nullable=True))
    _create_circuits()
    _create_idempotency_keys()


def _add_to_executions() -> None:
    for column in (
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("replaced", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("retried", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("peak_memory_bytes", sa.BigInteger(), nullable=True),
        sa.Column("cpu_ms", sa.BigInteger(), nullable=True),
        sa.Column("changes", DOCUMENT, nullable=True),
        sa.Column("waiting", DOCUMENT, nullable=True),
    ):
        op.add_column("executions", column)
    op.create_index(
        op.f("ix_executions_agent_id_state_number"), "executions", ["agent_id", "state", "number"]
    )


def _create_circuits() -> None:
    op.create_table(
        "circuits",
        sa.Column("agent_id", sa.String(length=160), nullable=False),
        sa.Column("cli_type", sa.String(length=160), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_failure_at", sa.BigInteger(), nullable=True),
        sa.Column("last_kind", sa.String(length=32), nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=True),
        sa.Column("retry_at", sa.BigInteger(), nullable=True),
        sa.Column("trial_execution_id", sa.String(length=160), nullable=True),
        sa.PrimaryKeyConstraint("agent_id", "cli_type", name=op.f("pk_circuits")),
    )


def _create_idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("agent_id", sa.String(length=160), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("body_hash", sa.String(length=64), nullable=False),
        sa.Column("execution_id", sa.String(length=160), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agent_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"])
