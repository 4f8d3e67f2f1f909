"""`kokino demo` as people run it: the whole story, from healthy agents to the written review."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from kokino.drills.demo import login_expires
from kokino.drills.fleet import Fleet

KOKINO = Path(sys.executable).with_name("kokino")
#: Seconds after which it is taken to hang: its own limit, and a busy machine's time for start and end.
PATIENCE = 240


def environment(folder: Path) -> Mapping[str, str]:
    """Ours, with a folder of its own for temporary homes."""
    return {**os.environ, "TMPDIR": str(folder), "HOME": str(folder), "COLUMNS": "100"}


def demo(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end, without a terminal."""
    return subprocess.run(
        [str(KOKINO), "demo", *options],
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_the_demo_tells_the_whole_story_and_shows_the_review(tmp_path: Path) -> None:
    """Exit code 0: every step was seen, in order, and the review is the file that lies in the home."""
    done = demo(tmp_path, "--keep")

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stderr == ""
    titles = [step.title for step in login_expires(Fleet(home=tmp_path))]
    told = [line.partition(" ✓ ")[2] for line in done.stdout.splitlines() if " ✓ " in line]
    assert told == titles
    assert "Every step was seen to happen" in done.stdout
    for part in ("Impact", "Timeline", "Root Cause", "Action Items"):
        assert part in done.stdout.partition("The review document")[2]
    [review] = tmp_path.glob("kokino-demo-*/incidents/incident-*.md")
    assert review.name in done.stdout
    assert "The login has expired" in review.read_text(encoding="utf-8")


def test_an_interrupted_demo_ends_everything_that_it_started(tmp_path: Path) -> None:
    """SIGTERM in the middle: the broker's end is in its order, and the temporary home is gone."""
    with subprocess.Popen(
        [str(KOKINO), "demo"],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        while "✓ All agents answer" not in (line := running.stdout.readline()):
            assert line, "it ended before it began"
        running.send_signal(signal.SIGTERM)
        _, errors = running.communicate(timeout=PATIENCE)

    assert running.returncode == 130
    assert errors == "kokino demo was interrupted; everything that it started has ended\n"
    assert list(tmp_path.glob("kokino-demo-*")) == []


def test_a_demo_that_cannot_listen_says_which_port_is_taken(tmp_path: Path) -> None:
    """One message, exit code 1, and nothing left."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = demo(tmp_path, "--port", str(port))

    assert done.returncode == 1
    assert done.stderr.startswith("kokino: ")
    assert str(port) in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.glob("kokino-demo-*")) == []
