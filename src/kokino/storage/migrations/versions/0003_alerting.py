"""what alert rules count: memory, comparisons, checks, the last event of each type."""

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
    # What stood open before this table was there stands open still.
    op.execute(
        "INSERT INTO latest_events (type, agent_id, cli_type, at, event_id)"
        " SELECT type, coalesce(agent_id, ''), coalesce(cli_type, ''), max(at), max(event_id)"
        " FROM events WHERE label IS NULL"
        " GROUP BY type, coalesce(agent_id, ''), coalesce(cli_type, '')"
    )
