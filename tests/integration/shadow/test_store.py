"""Comparisons in both databases: what is kept, found and forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Connection

from kokino.shadow import retention_store, store
from kokino.shadow.model import Comparison, Context, Run, Side, Verdict
from kokino.shadow.store import Off
from kokino.storage import Storage
from kokino.telemetry.retention import Retention
from tests.unit.shadow.given import NOW, at, comparison

WHOLE = comparison(
    Verdict.MISMATCH,
    context=Context.FORK,
    changed={"a.py": "file:1", "b.py": None},
    similarity=0.5,
    is_regression=True,
    difference="- a\n+ b",
    headless=Run(
        state="failed", kind="auth", error="no login", duration_ms=7, peak_memory_bytes=8, cost_usd=0.5
    ),
)


async def added(storage: Storage, *some: Comparison) -> None:
    """Write these down."""

    def write(conn: Connection) -> None:
        for one in some:
            store.add(conn, one)

    await storage.write(write)


def named(name: str, seconds: float, verdict: Verdict = Verdict.MISMATCH, **more: object) -> Comparison:
    """One that was judged then."""
    return comparison(verdict, execution_id=name, ended_at=at(seconds), **more)


async def test_a_comparison_comes_back_as_it_was(storage: Storage) -> None:
    """Every field of it."""
    await added(storage, WHOLE)
    assert await storage.read(lambda conn: store.get(conn, WHOLE.execution_id)) == WHOLE


async def test_a_pending_one_is_judged_once(storage: Storage) -> None:
    """Whoever comes second changes nothing."""
    pending = replace(WHOLE, ended_at=None, verdict=None, changed=None, difference=None)
    await added(storage, pending)
    assert await storage.read(store.pending) == [pending]
    assert await storage.read(lambda conn: store.pending(conn, "editor")) == []

    await storage.write(lambda conn: store.note_changed(conn, "exec-1", {"a": None}))
    await storage.write(lambda conn: store.note_cut_off(conn, "exec-1", "too slow"))
    noted = await storage.read(lambda conn: store.get(conn, "exec-1"))
    assert noted == replace(pending, changed={"a": None}, cut_off="too slow")

    assert await storage.write(lambda conn: store.judge(conn, WHOLE))
    assert not await storage.write(lambda conn: store.judge(conn, replace(WHOLE, verdict=Verdict.MATCH)))
    assert await storage.read(lambda conn: store.get(conn, "exec-1")) == WHOLE
    assert await storage.read(store.pending) == []
    assert await storage.read(store.running) == 0


async def test_lists_are_the_newest_first_and_go_on_behind_the_last_one(storage: Storage) -> None:
    """Those of one instant too; what was no user's is in none."""
    await added(
        storage,
        *(named(f"exec-{number}", number // 2) for number in range(6)),
        named("exec-7", 9, Verdict.MATCH),
        named("exec-8", 9, label="drill"),
    )
    found: list[str] = []
    before: str | None = None
    for _ in range(3):
        page = await storage.read(lambda conn, before=before: store.mismatches(conn, before=before, limit=2))  # type: ignore[misc]
        found += [one.execution_id for one in page]
        before = found[-1]
    assert found == [f"exec-{number}" for number in range(5, -1, -1)]


async def test_failures_are_found_by_their_side(storage: Storage) -> None:
    """A cancelled one has not failed."""
    failed, cancelled = Run(state="timeout", kind="timeout"), Run(state="cancelled")
    await added(
        storage,
        named("exec-1", 1, headless=failed),
        named("exec-2", 2, tmux=failed),
        named("exec-3", 3, headless=cancelled),
    )
    for side, wanted in ((Side.HEADLESS, ["exec-1"]), (Side.TMUX, ["exec-2"]), (None, ["exec-2", "exec-1"])):
        found = await storage.read(lambda conn, side=side: store.failures(conn, side, before=None, limit=9))  # type: ignore[misc]
        assert [one.execution_id for one in found] == wanted


async def test_a_window_holds_what_was_judged_in_it(storage: Storage) -> None:
    """Without its end, and without what is large."""
    await added(storage, *(named(f"exec-{second}", second, difference="large") for second in range(4)))
    found = await storage.read(lambda conn: store.judged_since(conn, at(1), at(3)))
    assert [(one.execution_id, one.difference) for one in found] == [("exec-1", None), ("exec-2", None)]
    assert await storage.read(store.first_at) == NOW


async def test_it_is_known_how_many_prompts_the_shadow_session_has_heard(storage: Storage) -> None:
    """Of one conversation, and only those that it has answered."""
    await added(
        storage,
        named("exec-1", 1),
        named("exec-2", 2, headless=Run(state="failed")),
        named("exec-3", 3, conversation_id="conv-2"),
    )
    assert await storage.read(lambda conn: store.heard(conn, "conv-1")) == 1


async def test_the_switch_stays_as_it_was_set(storage: Storage) -> None:
    """The latest reason counts."""
    assert await storage.read(store.off) is None
    for reason in ("noise", "more noise"):
        off = Off(reason=reason, since=NOW, set_by="local")
        await storage.write(lambda conn, off=off: store.switch_off(conn, off))  # type: ignore[misc]
    assert await storage.read(store.off) == Off(reason="more noise", since=NOW, set_by="local")
    assert await storage.write(store.switch_on)
    assert not await storage.write(store.switch_on)


async def test_comparisons_are_kept_as_long_as_is_said(storage: Storage) -> None:
    """One that is not judged is never too old."""
    await added(
        storage, named("exec-1", 0), named("exec-2", 1), replace(WHOLE, execution_id="exec-3", ended_at=None)
    )
    module = Retention(storage, {retention_store.COMPARISONS: timedelta(days=90)})
    await module.run(at(0) + timedelta(days=90, milliseconds=1))
    left = await storage.read(lambda conn: store.mismatches(conn, before=None, limit=9))
    assert [one.execution_id for one in left] == ["exec-2"]
    assert await storage.read(store.running) == 1
