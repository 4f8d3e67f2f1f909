"""agents that are sent elsewhere by name, and by their circuit breaker."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("agents", sa.Column("breaker_fallback", sa.Boolean(), nullable=True))
    op.create_table(
        "agent_fallbacks",
        sa.Column("agent_id", sa.String(length=160), nullable=False),
        sa.Column("cli_type", sa.String(length=160), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("target", sa.String(length=160), nullable=True),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("is_automatic", sa.Boolean(), nullable=False),
        sa.Column("probe_due_at", sa.BigInteger(), nullable=True),
        sa.Column("probes_good", sa.Integer(), nullable=False),
        sa.Column("probe_execution_id", sa.String(length=160), nullable=True),
        sa.Column("probe_last_at", sa.BigInteger(), nullable=True),
        sa.Column("probe_last_outcome", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("agent_id", name=op.f("pk_agent_fallbacks")),
    )
