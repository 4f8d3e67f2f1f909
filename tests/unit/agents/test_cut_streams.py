"""Every recorded stream of every CLI, cut at every byte: read as if it were whole, or as what it is, half.

A cut in mid-line reaches a reader only by what the splitter makes of it, and half a record is no record. So
each byte is cut where that is quick: at the splitter line by line, at the reader in the state that the whole
lines before have left it in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import replace
from typing import Any

import pytest

from kokino.agents.drivers.contract import Exit, Outcome
from kokino.agents.drivers.record_reader import RecordReader, decode
from kokino.agents.drivers.registry import driver_named
from kokino.executions.output.lines import Line, LineSplitter
from tests.unit.agents.streams import SAMPLES, fed, samples_of, stderr_of, stdout_of

#: The driver of each folder of samples that is not named after it.
DRIVER_OF = {"claude": "claude-code"}
#: By what record each CLI proves its success, said once more: a driver that trusts in less is found.
PROOFS: dict[str, Callable[[Any], bool]] = {
    "claude": lambda record: record["type"] == "result" and not record["is_error"],
    "codex": lambda record: record["type"] == "turn.completed",
    "factory-droid": lambda record: record["type"] == "completion",
    "gemini": lambda record: record["type"] == "result" and record["status"] == "success",
    "opencode": lambda record: record["type"] == "step_finish" and record["part"]["reason"] == "stop",
    "qwen": lambda record: record["type"] == "result" and not record["is_error"],
}
#: Dialogues are cut where they are read (test_acp_samples.py): what proves them depends on what was asked.
DIALOGUES = "acp"
#: The end that looks most like a success.
OK = Exit(code=0)
#: What a strict decoder refuses in a string.
BROKEN = (rb"\ud83d", rb"\ude00", rb"\\\ud83d\n", b"\xf0\x9f", b"\xff \\uD83D")
RUNS = [(cli, sample) for cli in sorted(PROOFS) for sample in samples_of(cli)]
every_run = pytest.mark.parametrize(("cli", "sample"), RUNS)


def reader_of(cli: str) -> RecordReader:
    """A fresh reader of a CLI's records."""
    reader = driver_named(DRIVER_OF.get(cli, cli)).reader()
    assert isinstance(reader, RecordReader)
    return reader


def proves(cli: str, line: bytes) -> bool:
    """True where a whole line of standard output is a proof of success."""
    try:
        record = json.loads(line)
    except ValueError:
        return False
    return isinstance(record, dict) and PROOFS[cli](record)


def told(reader: RecordReader) -> Outcome:
    """What it says of its run, but for the words, which may count the lines that were no records."""
    return replace(reader.outcome(OK), error=None)


def beginnings(line: bytes) -> Iterator[bytes]:
    """Every way in which a line may break off."""
    return (line[:length] for length in range(1, len(line)))


def test_every_cli_has_recorded_runs() -> None:
    """And each folder of them is read here."""
    assert sorted(folder.name for folder in SAMPLES.iterdir()) == sorted({DIALOGUES, *PROOFS})
    assert {cli for cli, _ in RUNS} == set(PROOFS)


def test_a_line_that_comes_in_two_parts_is_one_line() -> None:
    """Wherever it is cut, and with what came before it already handed on."""
    streams = [of(sample, cli) for cli, sample in RUNS for of in (stdout_of, stderr_of)]
    splitter = LineSplitter()
    for line in {line for stream in streams for line in stream.split(b"\n")}:
        whole, ended = [Line(line, len(line))], line + b"\n"
        for cut in range(len(ended)):
            assert not splitter.feed(ended[:cut])
            assert splitter.feed(ended[cut:]) == whole
    assert splitter.finish() == []


@every_run
def test_a_run_that_comes_byte_by_byte_comes_to_the_same(cli: str, sample: str) -> None:
    """What the splitter hands on is what the reader would have read in one piece."""
    stdout, stderr = stdout_of(sample, cli), stderr_of(sample, cli)
    dripping = reader_of(cli)
    for stream, take in ((stdout, dripping.stdout), (stderr, dripping.stderr)):
        splitter = LineSplitter()
        for at in range(len(stream)):
            for line in splitter.feed(stream[at : at + 1]):
                take(line.body)
        for line in splitter.finish():
            take(line.body)
    assert dripping.outcome(OK) == fed(reader_of(cli), stdout, stderr).outcome(OK)


@every_run
def test_output_that_breaks_off_is_no_success_before_its_proof(cli: str, sample: str) -> None:
    """Half a record never raises and tells nothing; without the proof even exit 0 is a failure."""
    reader, is_proven = reader_of(cli), False
    for line in stdout_of(sample, cli).split(b"\n"):
        before = told(reader)
        assert is_proven or before.kind is not None
        for half in beginnings(line):
            reader.stdout(half)
        assert told(reader) == before, f"half of {line!r} tells something"
        reader.stdout(line)
        is_proven = is_proven or proves(cli, line)


@pytest.mark.parametrize("broken", BROKEN)
@every_run
def test_text_that_was_cut_within_a_character_costs_no_record(cli: str, sample: str, broken: bytes) -> None:
    """Half an emoji or broken UTF-8, in a field that nobody reads, leaves the run what it is."""
    whole, marred = reader_of(cli), reader_of(cli)
    for line in stdout_of(sample, cli).split(b"\n"):
        whole.stdout(line)
        marred.stdout(line[:-1] + b',"cut":"' + broken + b'"}' if line.endswith(b"}") else line)
    assert (marred.garbage_lines, marred.unknown_records) == (whole.garbage_lines, whole.unknown_records)
    assert marred.outcome(OK) == whole.outcome(OK)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (rb'"a \ud83d"', "a \N{REPLACEMENT CHARACTER}"),
        (rb'"\ude00 b"', "\N{REPLACEMENT CHARACTER} b"),
        (rb'"\uD83D\ud83d\uDE00"', "\N{REPLACEMENT CHARACTER}\N{GRINNING FACE}"),
        # Behind an escaped backslash stands no escape.
        (rb'"\\ud83d \ud83d"', "\\ud83d \N{REPLACEMENT CHARACTER}"),
        (b'"a \xff"', "a \N{REPLACEMENT CHARACTER}"),
        (rb'"\ud83d', None),
        (rb'"\ud83"', None),
    ],
)
def test_what_is_broken_in_a_text_is_replaced(line: bytes, text: str | None) -> None:
    """And nothing else of it; what is no JSON otherwise stays none."""
    assert decode(line, str) == text


@every_run
def test_standard_error_that_breaks_off_is_no_proof(cli: str, sample: str) -> None:
    """Whatever half of its words may look like: none raises, and alone they never make a success."""
    reader = reader_of(cli)
    for line in stderr_of(sample, cli).split(b"\n"):
        halved = copy(reader)
        for half in beginnings(line):
            # Each half is the first that this state sees, but for the calls of tools, which copies share.
            halved = copy(reader)
            halved.stderr(half)
        assert halved.outcome(OK).kind is not None
        reader.stderr(line)
    assert reader.outcome(OK).kind is not None
