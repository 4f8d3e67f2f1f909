"""What comparisons come to together."""

from __future__ import annotations

from kokino.shadow.figures import by, figures, quantile
from kokino.shadow.model import Layer, Run, Side, Verdict
from tests.unit.shadow.given import comparison, took

FAILED = Run(state="failed", kind="auth", duration_ms=10)
FOUND = [
    comparison(tmux=took(2000, cost_usd=0.25), headless=took(1000, cost_usd=0.5)),
    comparison(layer=Layer.NORMALISED, tmux=took(4000), headless=took(3000, peak_memory_bytes=100)),
    comparison(
        Verdict.MISMATCH, layer=Layer.OUTCOME, tmux=took(6000), headless=FAILED, agent_id="editor"
    ),
    comparison(
        Verdict.NOT_COMPARED, layer=None, reason="too large", tmux=took(9000), headless=Run(),
        is_regression=True,
    ),
]  # fmt: skip


def test_rates_are_over_what_was_compared() -> None:
    """What says nothing counts in none of them."""
    found = figures(FOUND)
    assert (found.totals.comparisons, found.totals.matches, found.totals.mismatches) == (3, 2, 1)
    assert (found.totals.not_compared, found.not_compared) == (1, {"too large": 1})
    assert found.totals.regressions == 1
    assert (found.rates.match, found.rates.tmux_success, found.rates.headless_success) == (2 / 3, 1.0, 2 / 3)
    assert found.matched_by == {"exact": 1, "normalised": 1}
    assert found.mismatched_by == {"outcome": 1}


def test_latencies_are_of_pairs_in_which_both_answered() -> None:
    """A failure is quick, and says nothing of how quick answers are."""
    tmux, headless = (figures(FOUND).latency[side] for side in (Side.TMUX, Side.HEADLESS))
    assert (tmux.count, tmux.mean_ms, tmux.p50_ms, tmux.p95_ms) == (2, 3000, 2000, 4000)
    assert (headless.count, headless.max_ms) == (2, 3000)


def test_cost_is_what_was_told() -> None:
    """Where nobody tells, it is not nothing."""
    resources = figures(FOUND).resources
    assert (resources[Side.TMUX].cost_usd, resources[Side.HEADLESS].cost_usd) == (0.25, 0.5)
    assert resources[Side.TMUX].mean_peak_memory_bytes is None
    assert resources[Side.HEADLESS].mean_peak_memory_bytes == 100


def test_nothing_is_no_rate() -> None:
    """Neither 0 nor 1."""
    found = figures([])
    assert (found.rates.match, found.latency[Side.TMUX].p95_ms) == (None, None)


def test_each_agent_has_figures_of_its_own() -> None:
    """By name."""
    found = by(FOUND, lambda one: one.agent_id)
    assert {name: one.rates.match for name, one in found.items()} == {"editor": 0.0, "writer": 1.0}


def test_a_quantile_is_one_of_the_lengths() -> None:
    """The smallest that the share does not go over."""
    assert [quantile(range(1, 21), q) for q in (0.0, 0.5, 0.95, 1.0)] == [1, 10, 19, 20]
