"""`kokino fallback` and `kokino attach` against a broker: what is said, and what it does."""

from __future__ import annotations

import asyncio
from pathlib import Path

from typer.testing import CliRunner

from kokino.cli import app
from kokino.testing.broker import TestBroker


async def kokino(broker: TestBroker, *words: str) -> str:
    """What a command prints, or why it was refused."""
    run = await asyncio.to_thread(CliRunner().invoke, app, [*words, "--url", broker.url])
    return run.output if run.exception is None else str(run.exception)


async def test_an_agent_is_sent_elsewhere_watched_and_brought_back(tmp_path: Path) -> None:
    """Each command says what undoes it; what is sent where or waits, why and by whom is shown."""
    async with TestBroker(tmp_path / "home") as broker:
        assert "Everything runs where it is meant to." in await kokino(broker, "fallback", "status")
        assert "nothing of it has run in tmux" in await kokino(broker, "attach", "writer")
        forced = await kokino(broker, "fallback", "force", "writer", "--reason", "it hangs")
        assert "writer goes to tmux. `kokino fallback clear writer` undoes it." in forced
        assert (await broker.execute("writer")).status_code == 200
        shown = await kokino(broker, "fallback", "status")
        assert "agent writer -> tmux\n  it hangs\n  by local since " in shown
        assert "\n  first probed at " in shown
        assert "attach-session -r -t" in await kokino(broker, "attach", "writer")
        assert " -r " not in await kokino(broker, "attach", "writer", "--write", "--print")
        await kokino(broker, "fallback", "clear", "writer")
        await broker.post("/api/pause", scope="all", reason="upgrade")
        shown = await kokino(broker, "fallback", "status")
        assert "everything is paused\n  upgrade\n  by local since " in shown
        assert "\n  until POST /api/resume\n" in shown
        await broker.post("/api/resume", scope="all")
        for reason in ("logins fail", "maintenance"):
            said = await kokino(broker, "fallback", "disable", "codex", "--to", "park", "--reason", reason)
        assert "It was disabled already, by local since " in said
        assert ": logins fail. Now your reason and target stand." in said
        await kokino(broker, "fallback", "enable", "codex")
        assert "Everything runs where it is meant to." in await kokino(broker, "fallback", "status")


async def test_a_disable_warns_of_agents_without_a_way_and_of_what_gives_them_one(tmp_path: Path) -> None:
    """The command that it names mends it; then nothing is warned of."""
    async with TestBroker(tmp_path / "home") as broker:
        await kokino(broker, "fallback", "force", "writer", "--to", "codex", "--reason", "it hangs")
        said = await kokino(broker, "fallback", "disable", "codex", "--reason", "it is down")
        words = " ".join(said.split())
        assert "codex is disabled." in words
        assert "Warning: 1 agent without a way; prompts are refused writer: agent" in words
        assert "`kokino fallback force writer --to TARGET --reason WHY` gives one another way" in words
        shown = await kokino(broker, "fallback", "status")
        assert "Warning: 1 agent without a way" in shown
        await kokino(broker, "fallback", "force", "writer", "--to", "tmux", "--reason", "it hangs")
        assert "Warning" not in await kokino(broker, "fallback", "status")
