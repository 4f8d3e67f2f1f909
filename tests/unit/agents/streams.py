"""Recorded output of real CLIs, and how a test feeds it to a reader."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from kokino.agents.drivers.contract import Exit
from kokino.agents.drivers.record_reader import LineReader
from kokino.agents.drivers.stream_json import StreamJsonReader
from kokino.agents.failures import FailureKind

#: A folder for each CLI.
SAMPLES = Path(__file__).resolve().parents[2] / "samples"

R = TypeVar("R", bound=LineReader)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One recorded run, and what it comes to."""

    sample: str
    why: str
    exit: Exit
    kind: FailureKind | None
    #: Part of the answer, or of the error.
    says: str
    is_alive: bool = True
    #: The session that the CLI was asked to go on with.
    resumes: str | None = None
    #: A call was under way when it died: in its records it never ends.
    dies_in_tool: bool = False


def samples_of(cli: str) -> list[str]:
    """The names of its recorded runs."""
    return sorted(file.stem for file in (SAMPLES / cli).glob("*.jsonl"))


def stdout_of(sample: str, cli: str = "claude") -> bytes:
    """What the run wrote to standard output."""
    return (SAMPLES / cli / f"{sample}.jsonl").read_bytes()


def stderr_of(sample: str, cli: str = "claude") -> bytes:
    """What the run wrote to standard error; empty where nothing was."""
    file = SAMPLES / cli / f"{sample}.stderr"
    return file.read_bytes() if file.exists() else b""


def fed(reader: R, stdout: bytes, stderr: bytes = b"") -> R:
    """The reader once it has seen all of it; a last line without a newline is a line too."""
    for line in stdout.split(b"\n"):
        reader.stdout(line)
    for line in stderr.split(b"\n"):
        reader.stderr(line)
    return reader


def reader_after(stdout: bytes, stderr: bytes = b"") -> StreamJsonReader:
    """A reader of claude's dialect that has seen all of it."""
    return fed(StreamJsonReader(), stdout, stderr)


def comes_to(case: Case, reader: LineReader, cli: str, stdout: bytes | None = None) -> None:
    """Assert that the recorded run comes to what the case says, and that nothing in it is unknown.

    `stdout` is given where the recording is no stream of lines.
    """
    fed(reader, stdout_of(case.sample, cli) if stdout is None else stdout, stderr_of(case.sample, cli))
    outcome = reader.outcome(case.exit)
    assert (case.kind, case.is_alive) == (outcome.kind, outcome.session_is_alive), case.why
    assert case.says in (outcome.content if case.kind is None else outcome.error or "")
    assert (outcome.error is None) == (outcome.kind is None)
    assert reader.unknown_records == reader.garbage_lines == 0
    assert (reader.tools.running is not None) == case.dies_in_tool
