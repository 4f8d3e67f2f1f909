"""The doctor of real CLIs, in environments without a login and with one that is none: offline, and free."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kokino.agents.drivers.registry import DRIVERS
from kokino.agents.model import Agent, CliType
from kokino.doctor.examiner import Examiner
from kokino.doctor.model import Check, Diagnosis
from kokino.doctor.settings import DryRun
from tests.fixtures.real_clis import CLAUDE, CODEX, DROID, GEMINI, OPENCODE, QWEN, RealCli, installed
from tests.integration.doctor.examining import an_examiner

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
CLIS = (CLAUDE, CODEX, DROID, GEMINI, OPENCODE, QWEN)
#: Not there: OpenCode answers without a login too.
ASKS_FOR_A_LOGIN = [cli.name for cli in CLIS if cli is not OPENCODE]
DUMMY = "dummy-login-of-the-kokino-tests-0000"
FAR = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1000)
#: What each of them writes when somebody logs in.
LOGINS: Mapping[str, tuple[str, Any]] = {
    "claude-code": (
        ".claude/.credentials.json",
        {"claudeAiOauth": {"accessToken": DUMMY, "expiresAt": FAR, "scopes": ["user:inference"]}},
    ),
    "codex": (".codex/auth.json", {"OPENAI_API_KEY": DUMMY}),
    "factory-droid": (".factory/auth.v2.file", DUMMY),
    "gemini": (".gemini/oauth_creds.json", {"access_token": DUMMY, "expiry_date": FAR}),
    "opencode": (".local/share/opencode/auth.json", {"anthropic": {"type": "api", "key": DUMMY}}),
    "qwen": (".qwen/oauth_creds.json", {"access_token": DUMMY, "expiry_date": FAR}),
}


@pytest.fixture
async def examiner(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Examiner]:
    """A doctor with a warden, whose agents inherit nothing of this machine."""
    # As long as a busy machine may take to load them all.
    async with an_examiner(tmp_path_factory, timeout=timedelta(minutes=2)) as found:
        yield found


async def examined(examiner: Examiner, cli: RealCli) -> Diagnosis:
    """What the doctor finds for one agent of it."""
    home = Path(examiner.environment["HOME"])
    cli_type = CliType(name=cli.name, driver=cli.name, command=(str(installed(cli)),))
    agent = Agent(agent_id="a", cli_type=cli.name, cwd=home, account="x", registered_at=NOW)
    return await examiner.examine(cli_type, [agent], NOW)


def check(diagnosis: Diagnosis, name: str) -> Check:
    """One of its checks."""
    [found] = [one for one in diagnosis.checks if one.name == name]
    return found


async def test_an_empty_home_has_no_login_and_a_login_is_found(examiner: Examiner) -> None:
    """All else is well: each starts offline in the environment that its agents get, and tells its version."""
    found = {cli.name: one for cli, one in zip(CLIS, await all_of(examiner), strict=True)}
    assert [name for name, one in found.items() if not one.passed] == ASKS_FOR_A_LOGIN
    assert {check.name for one in found.values() for check in one.failed} == {"auth"}
    for cli in CLIS:
        assert f"told {cli.version} in " in check(found[cli.name], "dryrun").message
        assert check(found[cli.name], "version").passed
    assert list(examiner.spool.iterdir()) == []
    lenient = examiner.settings.model_copy(update={"dry_run": DryRun.OFF, "optional": ["auth"]})
    assert [one.failed for one in await all_of(replace(examiner, settings=lenient))] == [()] * len(CLIS)

    for file, content in LOGINS.values():
        path = Path(examiner.environment["HOME"]) / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    logged_in = replace(examiner, settings=examiner.settings.model_copy(update={"dry_run": DryRun.OFF}))
    assert [one.failed for one in await all_of(logged_in)] == [()] * len(CLIS)


async def all_of(examiner: Examiner) -> list[Diagnosis]:
    """The diagnosis of each."""
    return await asyncio.gather(*(examined(examiner, cli) for cli in CLIS))


@pytest.mark.parametrize(
    ("cli", "question"), [(CLAUDE, ("auth", "status")), (CODEX, ("login", "status"))], ids=["claude", "codex"]
)
async def test_the_cli_itself_says_the_same(
    tmp_path: Path, examiner: Examiner, cli: RealCli, question: tuple[str, ...]
) -> None:
    """So that the files that the doctor reads are those that the CLI reads."""
    quiet = replace(examiner, settings=examiner.settings.model_copy(update={"dry_run": DryRun.OFF}))
    home = Path(examiner.environment["HOME"])
    for is_logged_in in (False, True):
        if is_logged_in:
            file, content = LOGINS[cli.name]
            (home / file).parent.mkdir(parents=True, exist_ok=True)
            (home / file).write_text(json.dumps(content))
        diagnosis = await examined(quiet, cli)
        said = await asyncio.to_thread(
            subprocess.run,
            [str(installed(cli)), *question],
            env=dict(examiner.environment) | {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        words = said.stdout + said.stderr
        assert ('"loggedIn": false' in words or "Not logged in" in words) is not is_logged_in, words
        assert check(diagnosis, "auth").passed is is_logged_in


def test_every_driver_of_a_cli_is_tried_here() -> None:
    """A new one has its login told above."""
    assert {name for name, driver in DRIVERS.items() if driver.needs.package} == set(LOGINS)
