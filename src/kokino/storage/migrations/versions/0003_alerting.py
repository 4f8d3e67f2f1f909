"""what alert rules count, silences, alerts that are told together."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("events", sa.Column("memory_mb", sa.Integer(), nullable=True))
    op.add_column("events", sa.Column("memory_slo_mb", sa.Integer(), nullable=True))
    for name in ("memory_within", "memory_over", "memory_sum_mb"):
        op.add_column("rollups", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    op.create_table(
        "latest_events",
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("agent_id", sa.String(length=160), nullable=False),
        sa.Column("cli_type", sa.String(length=160), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("type", "agent_id", "cli_type", name=op.f("pk_latest_events")),
    )
    op.create_table(
        "silences",
        sa.Column("silence_id", sa.String(length=160), nullable=False),
        sa.Column("matchers", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("until_resolved", sa.Boolean(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("noticed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("silence_id", name=op.f("pk_silences")),
    )
    op.create_index(op.f("ix_silences_ends_at"), "silences", ["ends_at"])
    op.add_column("escalations", sa.Column("joined_to", sa.String(length=160), nullable=True))
    # What stood open before this table was there stands open still.
    op.execute(
        "INSERT INTO latest_events (type, agent_id, cli_type, at, event_id)"
        " SELECT type, coalesce(agent_id, ''), coalesce(cli_type, ''), max(at), max(event_id)"
        " FROM events WHERE label IS NULL"
        " GROUP BY type, coalesce(agent_id, ''), coalesce(cli_type, '')"
    )
