"""alerts that Alertmanagers tell of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "received_alerts",
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("labels", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("is_firing", sa.Boolean(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("link", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_received_alerts")),
    )
    op.create_index(op.f("ix_received_alerts_is_firing_at"), "received_alerts", ["is_firing", "at"])
    op.create_index(op.f("ix_received_alerts_at"), "received_alerts", ["at"])
    op.create_index(op.f("ix_alerts_state_since"), "alerts", ["state", "since"])
