"""A person who types the specification's commands in, and the commands themselves."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.acceptance.serving import KOKINO, PATIENCE, Served

#: How a program moves about on a terminal.
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
ROOT = Path(__file__).resolve().parents[2]
SPECIFICATION = ROOT / "tests" / "spec" / "ALERT-PLAYBOOKS.md"


def section(heading: str) -> str:
    """One section of the second level."""
    text = SPECIFICATION.read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def commands(heading: str) -> dict[str, str]:
    """The commands of a section's bash blocks, in order, by the comment above each; all else is verbatim."""
    blocks = re.findall(r"^```bash\n(.*?)^```", section(heading), re.MULTILINE | re.DOTALL)
    found: dict[str, str] = {}
    for paragraph in (part.strip() for block in blocks for part in block.split("\n\n")):
        title, _, command = paragraph.partition("\n")
        if all(line.startswith("#") for line in paragraph.splitlines()):
            continue  # what the answer looks like
        assert title.startswith("# "), paragraph
        assert title[2:] not in found, title
        found[title[2:]] = command
    return found


class Shell:
    """A person in the folder that the broker was started from."""

    def __init__(self, broker: Served) -> None:
        self.broker = broker
        self.folder = broker.home

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Type it in. An unquoted `&` puts its left half into the background, so wait for that too."""
        return subprocess.run(
            ["bash", "-c", f"{command}\nstatus=$?\nwait\nexit $status"],
            cwd=self.folder,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def json(self, command: str) -> Any:
        """The JSON that a command prints."""
        ran = self.run(command)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    def watched(self, command: str, wanted: re.Pattern[str]) -> str:
        """Type it in at a terminal, look until `wanted` is seen, press Ctrl-C; what the screen was sent."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
        environment = {**os.environ, "TERM": "xterm"}
        with subprocess.Popen(
            ["setsid", "--ctty", "bash", "-c", command],
            cwd=self.folder,
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        ) as process:
            os.close(theirs)
            seen = ""
            while not wanted.search(seen) and (read := _read(ours)):
                seen = ESCAPE.sub(" ", seen + read)
            os.write(ours, b"\x03")
            while _read(ours):
                pass
            process.wait(PATIENCE)
        os.close(ours)
        return seen


def _environment() -> dict[str, str]:
    """As after `. .venv/bin/activate`. No shell hands on how wide it is: `ps` would cut its lines."""
    own = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    return {**own, "PATH": f"{KOKINO.parent}:{own['PATH']}"}


def _read(terminal: int) -> str:
    """What comes next; empty once nobody is at the other end, or nothing comes for too long."""
    if not select.select([terminal], [], [], PATIENCE)[0]:
        return ""
    try:
        return os.read(terminal, 4096).decode(errors="replace")
    except OSError:
        return ""


#: What a command shall come to: given the command as the specification has it.
Check = Callable[[Shell, str], None]


def follow(shell: Shell, commands: Mapping[str, str], checks: Mapping[str, Check]) -> None:
    """Run the commands in the specification's order, each followed by its check."""
    for title, check in checks.items():
        check(shell, commands[title])
