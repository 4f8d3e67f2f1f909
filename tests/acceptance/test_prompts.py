"""Whoever looks at an execution sees what was asked."""

from __future__ import annotations

from pathlib import Path

from kokino.testing.broker import TestBroker


async def test_a_failed_execution_shows_its_prompt(tmp_path: Path) -> None:
    """Word for word; who lists executions, or has sent the prompt just now, is not told it again."""
    prompt = 'Fix "it".\n\nscript: crash 3\n'
    async with TestBroker(tmp_path / "home") as broker:
        failed = (await broker.execute("writer", prompt)).json()["execution"]
        shown = await broker.get(f"/executions/{failed['executionId']}")
        assert (shown["state"], shown["prompt"], shown["promptLength"]) == ("failed", prompt, len(prompt))
        assert shown["conversationId"] == failed["conversationId"] is not None
        (listed,) = (await broker.get("/executions"))["items"]
        assert {"prompt", "promptLength"}.isdisjoint({*listed, *failed})


async def test_of_a_long_prompt_the_beginning_is_shown_and_its_length(tmp_path: Path) -> None:
    """It may have megabytes."""
    prompt = "é" * 70_000
    async with TestBroker(tmp_path / "home") as broker:
        answered = (await broker.execute("writer", prompt)).json()
        shown = await broker.get(f"/executions/{answered['executionId']}")
    assert (shown["prompt"], shown["promptLength"]) == ("é" * 65_536, 70_000)
