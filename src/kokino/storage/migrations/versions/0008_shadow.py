"""comparisons of shadow mode, its switch, and what agents say of it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("agents", sa.Column("shadow_sample", sa.Float(), nullable=False, server_default="1"))
    op.add_column("agents", sa.Column("shadow_threshold", sa.Float(), nullable=False, server_default="0.95"))
    op.create_table(
        "comparisons",
        sa.Column("execution_id", sa.String(length=160), nullable=False),
        sa.Column("shadow_execution_id", sa.String(length=160), nullable=True),
        sa.Column("agent_id", sa.String(length=160), nullable=False),
        sa.Column("cli_type", sa.String(length=160), nullable=False),
        sa.Column("account", sa.String(length=300), nullable=False),
        sa.Column("label", sa.String(length=16), nullable=True),
        sa.Column("conversation_id", sa.String(length=160), nullable=True),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("root", sa.Text(), nullable=False),
        sa.Column("context", sa.String(length=16), nullable=True),
        sa.Column("threshold", sa.Float(), nullable=False),
        sa.Column("changed", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("cut_off", sa.Text(), nullable=True),
        sa.Column("verdict", sa.String(length=16), nullable=True),
        sa.Column("layer", sa.String(length=16), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("similarity", sa.Float(), nullable=True),
        sa.Column("is_regression", sa.Boolean(), nullable=False),
        sa.Column("difference", sa.Text(), nullable=True),
        *_sides(),
        sa.PrimaryKeyConstraint("execution_id", name=op.f("pk_comparisons")),
    )
    for columns in (
        ["ended_at"],
        ["agent_id", "ended_at"],
        ["conversation_id"],
        ["verdict", "ended_at"],
    ):
        op.create_index(op.f(f"ix_comparisons_{'_'.join(columns)}"), "comparisons", columns)
    op.create_table(
        "shadow_switch",
        sa.Column("switch", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("switch", name=op.f("pk_shadow_switch")),
    )


def _sides() -> list[sa.Column[Any]]:
    """What each path came to and took."""
    return [
        column
        for side in ("tmux", "headless")
        for column in (
            sa.Column(f"{side}_state", sa.String(length=16), nullable=True),
            sa.Column(f"{side}_kind", sa.String(length=32), nullable=True),
            sa.Column(f"{side}_error", sa.Text(), nullable=True),
            sa.Column(f"{side}_duration_ms", sa.BigInteger(), nullable=True),
            sa.Column(f"{side}_peak_memory_bytes", sa.BigInteger(), nullable=True),
            sa.Column(f"{side}_cost_usd", sa.Float(), nullable=True),
        )
    ]
