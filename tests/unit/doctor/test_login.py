"""How each CLI is known to be logged in, by the files and variables that it reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kokino.agents.drivers.needs import InFile
from kokino.agents.drivers.registry import DRIVERS
from kokino.agents.model import CliType
from kokino.doctor.login import LARGEST, check_login, read_file
from kokino.doctor.model import Check

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
HOME = "/home/agent"
SECRET = "canary-of-a-secret"


def at(**ahead: float) -> int:
    """Milliseconds since 1970, so long from now."""
    return int((NOW + timedelta(**ahead)).timestamp() * 1000)


def cli(driver: str, *command: str) -> CliType:
    """A CLI type of a driver, with the driver's own command unless said."""
    return CliType(name="mine", driver=driver, command=command or DRIVERS[driver].default_command or ("it",))


def check(driver: str, files: Mapping[str, Any], *command: str, **env: str) -> Check:
    """What is found where these files are below HOME; a text is a file's content, anything else its JSON."""
    contents = {
        Path(HOME) / path: (held if isinstance(held, str) else json.dumps(held)).encode()
        for path, held in files.items()
    }
    return check_login(cli(driver, *command), {"HOME": HOME, **env}, NOW, contents.get)


CLAUDE, CODEX, GEMINI = ".claude/.credentials.json", ".codex/auth.json", ".gemini/oauth_creds.json"


@pytest.mark.parametrize(
    ("driver", "files", "env", "says"),
    [
        ("claude-code", {CLAUDE: {"claudeAiOauth": {"accessToken": SECRET}}}, {}, CLAUDE),
        ("claude-code", {".claude/settings.json": {"apiKeyHelper": "/bin/key"}}, {}, "settings.json"),
        ("claude-code", {".claude/settings.json": {"env": {"ANTHROPIC_API_KEY": SECRET}}}, {},
         "settings.json"),
        ("claude-code", {}, {"ANTHROPIC_API_KEY": SECRET}, "by ANTHROPIC_API_KEY"),
        ("claude-code", {"../cfg/.credentials.json": {"claudeAiOauth": {"accessToken": SECRET}}},
         {"CLAUDE_CONFIG_DIR": f"{HOME}/../cfg"}, "../cfg/.credentials.json"),
        ("codex", {CODEX: {"tokens": {"access_token": SECRET}}}, {}, CODEX),
        ("codex", {CODEX: {"OPENAI_API_KEY": SECRET}}, {}, CODEX),
        ("codex", {".codex/config.toml": 'model_provider = "own"'}, {}, "config.toml"),
        ("codex", {"other/auth.json": {"tokens": {"a": SECRET}}}, {"CODEX_HOME": f"{HOME}/other"},
         "other/auth.json"),
        ("factory-droid", {".factory/auth.v2.file": SECRET}, {}, "auth.v2.file"),
        ("factory-droid", {".factory/settings.json": {"customModels": [{"apiKey": SECRET}]}}, {}, "settings"),
        ("gemini", {GEMINI: {"access_token": SECRET, "refresh_token": SECRET, "expiry_date": at(hours=-9)}},
         {}, "which the CLI renews"),
        ("gemini", {}, {"GEMINI_API_KEY": SECRET}, "by GEMINI_API_KEY"),
        ("opencode", {".local/share/opencode/auth.json": {"anthropic": {"type": "api", "key": SECRET}}}, {},
         "auth.json"),
        ("qwen", {".qwen/oauth_creds.json": {"refresh_token": SECRET, "access_token": SECRET}}, {}, "renews"),
        ("qwen", {".qwen/settings.json": {"security": {"auth": {"apiKey": SECRET}}}}, {}, "settings.json"),
        ("scripted", {"word": "valid"}, {"KOKINO_SCRIPTED_LOGIN": f"{HOME}/word"}, "/word"),
        ("scripted", {}, {}, "none is asked for"),
        ("acp", {}, {}, "knows of no login"),
    ],
)  # fmt: skip
def test_a_login_is_found_by_its_name(
    driver: str, files: Mapping[str, Any], env: Mapping[str, str], says: str
) -> None:
    """And what it is stays where it is."""
    found = check(driver, files, **env)
    assert found.passed, found.message
    assert says in found.message
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("driver", "files", "says"),
    [
        ("claude-code", {}, "nobody is logged in"),
        ("claude-code", {CLAUDE: {}}, "nobody is logged in"),
        ("claude-code", {CLAUDE: "{half"}, "cannot be read: it is damaged"),
        ("claude-code", {CLAUDE: [1]}, "cannot be read: it is damaged"),
        ("claude-code", {CLAUDE: {"claudeAiOauth": {"accessToken": SECRET, "expiresAt": at(hours=-1)}}},
         "has expired at 2026-01-05T08:00:00.000Z"),
        ("codex", {CODEX: {"tokens": None, "OPENAI_API_KEY": ""}}, "nobody is logged in"),
        ("qwen", {".qwen/oauth_creds.json": {"access_token": SECRET, "expiry_date": at(seconds=-1)}},
         "expired"),
    ],
)  # fmt: skip
def test_no_login_fails_with_the_command_that_brings_one(
    driver: str, files: Mapping[str, Any], says: str
) -> None:
    """For the HOME of the agent, which is not that of whoever types it."""
    found = check(driver, files)
    assert (found.passed, found.is_well) == (False, False)
    assert says in found.message
    assert found.mend == f"HOME={HOME} {DRIVERS[driver].needs.login_command}"
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("driver", "command", "env", "mend"),
    [
        ("claude-code", ("/opt/my node/claude", "--x"), {},
         f"HOME={HOME} '/opt/my node/claude' auth login"),
        ("codex", (), {"CODEX_HOME": "/srv/c x"}, f"HOME={HOME} CODEX_HOME='/srv/c x' codex login"),
        ("gemini", (), {}, f"HOME={HOME} gemini"),
        ("scripted", (), {"KOKINO_SCRIPTED_LOGIN": "/my word"}, "echo valid > '/my word'"),
        ("claude-code", ("my-wrapper",), {}, None),
        ("claude-code", ("npx", "claude"), {}, None),
    ],
)  # fmt: skip
def test_the_command_that_logs_in_is_one_that_does(
    driver: str, command: tuple[str, ...], env: Mapping[str, str], mend: str | None
) -> None:
    """By the program that runs, into the folders that it reads; of another program nobody knows it."""
    found = check(driver, {}, *command, **env)
    assert (found.passed, found.mend) == (False, mend)
    advice = (
        f"; log in as '{command[0]}' wants it, with HOME={HOME}, or set ANTHROPIC_API_KEY in env"
        if command
        else ""
    )
    assert found.message.endswith(advice) or mend is not None


def test_the_word_of_a_scripted_login_is_told_with_its_file() -> None:
    """The command writes another one."""
    found = check("scripted", {"word": "expired"}, KOKINO_SCRIPTED_LOGIN=f"{HOME}/word")
    assert found.message == f"{HOME}/word has expired: it holds that word"
    assert found.mend == f"echo valid > {HOME}/word"
    missing = check("scripted", {}, KOKINO_SCRIPTED_LOGIN=f"{HOME}/word")
    assert missing.message == f"{HOME}/word does not exist"


def test_a_login_that_ends_soon_is_warned_of() -> None:
    """With its date; one that the CLI renews by itself is not."""
    login = {"accessToken": SECRET, "expiresAt": at(days=2)}
    soon = check("claude-code", {CLAUDE: {"claudeAiOauth": login}})
    assert soon.passed
    assert soon.warnings == (f"{HOME}/{CLAUDE} ends at 2026-01-07T09:00:00.000Z: log in anew before",)
    assert check("claude-code", {CLAUDE: {"claudeAiOauth": login | {"expiresAt": at(days=9)}}}).warnings == ()
    assert check("claude-code", {CLAUDE: {"claudeAiOauth": login | {"refreshToken": SECRET}}}).warnings == ()


def test_a_cli_that_answers_without_a_login_is_only_warned_of() -> None:
    """OpenCode has models of its own."""
    found = check("opencode", {})
    assert (found.passed, found.is_well) == (False, True)


def test_one_good_login_is_enough() -> None:
    """Beside one that has expired."""
    files = {CLAUDE: {"claudeAiOauth": {"accessToken": SECRET, "expiresAt": at(days=-2)}}}
    assert check("claude-code", files, ANTHROPIC_API_KEY=SECRET).passed


@pytest.mark.parametrize(
    "value", [at(hours=-1), at(hours=-1) / 1000, "2026-01-05T08:00:00Z", "2026-01-05T08:00:00"]
)
def test_an_end_may_be_written_in_several_ways(value: object) -> None:
    """Seconds, milliseconds, ISO 8601; what is none of them tells nothing."""
    way = InFile(path="login.json", expiry="ends")

    def ends(content: object) -> datetime | None:
        held = {Path(HOME) / "login.json": json.dumps({"ends": content}).encode()}
        found = way.find({"HOME": HOME}, held.get)
        assert found is not None
        return found.expires_at

    assert ends(value) == NOW - timedelta(hours=1)
    assert [ends(odd) for odd in ("soon", True, None, 1e300)] == [None] * 4


def test_only_a_file_that_can_be_a_login_is_read(tmp_path: Path) -> None:
    """No folder, nothing that is missing, nothing as large as a disk."""
    large = tmp_path / "large"
    large.write_bytes(b"x" * (LARGEST + 1))
    (tmp_path / "small").write_bytes(b"x")
    names = ("small", "large", "gone", ".", "nul\0")
    assert [read_file(tmp_path / name) for name in names] == [b"x", None, None, None, None]
