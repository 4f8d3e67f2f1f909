"""turns are found by their execution: they go with it when it is no longer kept."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_turns_execution_id"), "turns", ["execution_id"])
