"""What both sides took is counted from the same instant."""

from __future__ import annotations

from dataclasses import replace

from kokino.executions.model import State
from kokino.shadow.measured import FILES, condensed, measured
from tests.unit.shadow.given import at, comparison, execution


def test_the_snapshot_is_no_time_of_tmux() -> None:
    """It was claimed at 0 s and waited for the snapshot until 4 s, when both began."""
    headless = replace(execution(took=10), started_at=at(4))
    found = measured(comparison(), execution(took=12), headless, at(13))
    assert (found.tmux.duration_ms, found.headless.duration_ms) == (8_000, 6_000)
    assert not found.is_regression
    assert measured(
        comparison(), execution(took=12), replace(headless, ended_at=at(18)), at(20)
    ).is_regression


def test_a_side_that_is_gone_or_never_ended_took_nothing_that_is_known() -> None:
    """None, and not 0."""
    found = measured(comparison(), execution(State.RUNNING), None, at(13))
    assert (found.tmux.state, found.tmux.duration_ms, found.headless.state) == ("running", None, None)


def test_of_many_changed_files_one_hash_is_kept() -> None:
    """The same for the same files, another one otherwise."""
    many = {f"f{number}": "file:1" for number in range(FILES + 1)}
    assert condensed({"a": None}) == {"a": None}
    assert condensed(many) == condensed(dict(reversed(many.items())))
    assert condensed(many) != condensed({**many, "f0": None})
    assert list(condensed(many)) == ["(1,001 files)"]
