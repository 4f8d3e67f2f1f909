"""The earlier place of the sums: `rollup_store` has the queries, `model` has `Scope`."""

from kokino.telemetry.model import Scope
from kokino.telemetry.rollup_store import counts, oldest_at, totals, totals_by

__all__ = ["Scope", "counts", "oldest_at", "totals", "totals_by"]
