"""The real Claude Code in shadow mode: in tmux for the caller, headless beside it."""

from __future__ import annotations

import json
from pathlib import Path

from kokino.testing.broker import TestBroker
from tests.acceptance.serving import processes_of
from tests.model_server import ModelServer


async def test_two_turns_in_tmux_and_headless_match(
    tmp_path: Path, real_claude: Path, claude_env: dict[str, str], model_server: ModelServer
) -> None:
    """The second turn's shadow side knows the first from a copy of the session, and no copy is left."""
    home, cwd = Path(claude_env["HOME"]), tmp_path / "work"
    cwd.mkdir()
    (cwd / "notes.txt").write_text("one\n")
    (home / ".claude.json").write_text(json.dumps({"hasCompletedOnboarding": True}))
    toml = f'[cli_types.claude-code]\ncommand = ["{real_claude}"]\n'
    async with TestBroker(tmp_path / "home", toml) as broker:
        body = {"cliType": "claude-code", "cwd": str(cwd), "env": claude_env, "mode": "shadow"}
        await broker.post("/agents/register", agentId="claude", **body)
        answers = []
        for prompt in ("Remember the word heron.", "Which word was it?"):
            answers.append((await broker.execute("claude", prompt)).json())
            await broker.settle()

        assert [answer["success"] for answer in answers] == [True, True]
        found = await broker.get("/api/shadow-mode/metrics?days=1")
        assert (found["totals"]["matches"], found["matchedBy"]) == (2, {"exact": 2}), found
        assert found["latency"]["tmux"]["count"] == found["latency"]["headless"]["count"] == 2
        assert found["resources"]["headless"]["meanPeakMemoryMB"] > 100
        executions = (await broker.get("/executions"))["items"]
        modes = [(one["mode"], one["label"]) for one in executions]
        assert sorted(modes, key=str) == [("headless", "shadow")] * 2 + [("tmux", None)] * 2
        assert processes_of({one["executionId"] for one in executions}) == []
        assert list((tmp_path / "home" / "broker" / "shadow").iterdir()) == []

        second = ["\n".join(asked.texts) for asked in model_server.requests]
        knowing = [said for said in second if "Which word was it?" in said]
        assert len(knowing) >= 2
        assert all("Remember the word heron." in said for said in knowing)
        (session,) = (home / ".claude" / "projects").glob("*/*.jsonl")
        assert session.stem == answers[1]["metadata"]["sessionId"]
