"""`kokino diff` on the command line: what an execution changed, looked at and undone with git itself."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from kokino.testing.broker import TestBroker

KOKINO = Path(sys.executable).with_name("kokino")
PATIENCE = 60
TOML = """
[cli_types.quick]
driver = "scripted"
env = { KOKINO_SCRIPT = "@/script" }
[[agents]]
id = "writer"
cli_type = "quick"
cwd = "work"
[[agents]]
id = "outsider"
cli_type = "quick"
cwd = "elsewhere"
"""
#: No text, no ASCII, no end of line: what a patch has to bring back byte for byte.
BEFORE = b"caf\xc3\xa9\r\n\x00\xff no end"


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[TestBroker]:
    """A broker with an agent in a repository and another one outside of any."""
    home = tmp_path / "home"
    for folder in ("work/below", "elsewhere"):
        (home / folder).mkdir(parents=True)
    git(home / "work", "init", "-q")
    (home / "work" / "report").write_bytes(BEFORE)
    async with TestBroker(home, TOML.replace("@", str(home))) as started:
        yield started


def git(folder: Path, *arguments: str) -> None:
    """What a user does with git."""
    subprocess.run(["git", *arguments], cwd=folder, check=True, timeout=PATIENCE)


def environment(box: TestBroker) -> dict[str, str]:
    """Of somebody who speaks to this broker."""
    own = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "LESS"}}
    return {**own, "KOKINO_URL": box.url, "PAGER": "cat", "TERM": "xterm-256color"}


async def ran(box: TestBroker, *arguments: str, folder: str = "work") -> subprocess.CompletedProcess[bytes]:
    """A command with its output in a pipe."""
    return await asyncio.to_thread(
        subprocess.run,
        [str(KOKINO), *arguments],
        cwd=box.home / folder,
        env=environment(box),
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )


async def changed(box: TestBroker, script: str, agent: str = "writer") -> str:
    """The id of an execution that did this and ended."""
    (box.home / "script").write_text(script, "utf-8")
    return str((await box.execute(agent)).json()["executionId"])


async def test_the_reverse_patch_undoes_a_run(box: TestBroker) -> None:
    """Piped into git apply; files come back byte for byte, new ones go, and the patch does it again."""
    execution = await changed(box, "write report after; write below/new text")
    work = box.home / "work"
    undone = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-o", "pipefail", "-c", f"{KOKINO} diff {execution} --reverse | git apply"],
        cwd=work,
        env=environment(box),
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (undone.returncode, undone.stderr) == (0, b"")
    assert (work / "report").read_bytes() == BEFORE
    assert not (work / "below" / "new").exists()
    patch = (await ran(box, "diff", execution)).stdout
    (box.home / "patch").write_bytes(patch)
    git(work, "apply", "../patch")
    assert (work / "below" / "new").read_bytes() == b"text\n"


async def test_a_terminal_gets_colours_and_nothing_to_obey(box: TestBroker) -> None:
    """Through the pager; what an agent wrote into a file does nothing to whoever looks at it."""
    (box.home / "work" / "report").unlink()
    execution = await changed(box, "write report \x1b[2Jtext")
    said = await asyncio.to_thread(in_terminal, [str(KOKINO), "diff", execution], environment(box))
    assert "\x1b[32m+" in said
    assert "[2Jtext" in said
    assert "\x1b[2J" not in said
    plain = await asyncio.to_thread(
        in_terminal, [str(KOKINO), "diff", execution], {**environment(box), "NO_COLOR": "1"}
    )
    assert "\x1b[32m" not in plain


async def test_nothing_to_show_is_said_beside_the_output(box: TestBroker) -> None:
    """A pipe then gets nothing."""
    execution = await changed(box, "emit done")
    shown = await ran(box, "diff", execution)
    assert (shown.returncode, shown.stdout) == (0, b"")
    assert shown.stderr.decode() == f"{execution} changed no file.\n"


@pytest.mark.parametrize("is_known", [True, False])
async def test_what_cannot_be_told_is_an_error_that_says_why(box: TestBroker, *, is_known: bool) -> None:
    """An unknown execution, and one that ran in no repository; nothing goes into the pipe."""
    execution = await changed(box, "emit done", "outsider") if is_known else "exec-none"
    why = "it did not run in a git repository" if is_known else "there is no execution 'exec-none'"
    shown = await ran(box, "diff", execution)
    assert (shown.returncode, shown.stdout) == (1, b"")
    assert shown.stderr.decode().startswith("kokino: the broker refused: ")
    assert why in shown.stderr.decode()


def in_terminal(command: list[str], env: Mapping[str, str]) -> str:
    """What a command writes where all of its streams are a terminal."""
    ours, its = pty.openpty()
    process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=dict(env))
    os.close(its)
    said = b""
    try:
        while chunk := _read(ours):
            said += chunk
    finally:
        os.close(ours)
        process.wait(PATIENCE)
    return said.decode("utf-8", "replace")


def _read(terminal: int) -> bytes:
    """The next bytes; none once nobody writes any more, which a terminal tells by an error."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""
