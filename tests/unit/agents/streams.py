"""Recorded output of real CLIs, and how a test feeds it to a reader."""

from __future__ import annotations

from pathlib import Path

from kokino.agents.drivers.stream_json import StreamJsonReader

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "claude"


def stdout_of(sample: str) -> bytes:
    """What the run wrote to standard output."""
    return (SAMPLES / f"{sample}.jsonl").read_bytes()


def stderr_of(sample: str) -> bytes:
    """What the run wrote to standard error; empty where nothing was."""
    file = SAMPLES / f"{sample}.stderr"
    return file.read_bytes() if file.exists() else b""


def reader_after(stdout: bytes, stderr: bytes = b"") -> StreamJsonReader:
    """A reader that has seen all of it; a last line without a newline is a line too."""
    reader = StreamJsonReader()
    for line in stdout.split(b"\n"):
        reader.stdout(line)
    for line in stderr.split(b"\n"):
        reader.stderr(line)
    return reader
