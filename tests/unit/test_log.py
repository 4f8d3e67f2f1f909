"""One line a record, with its level, which nothing that an agent says can forge."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from kokino.log import start_logging


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """A log file, with logging as it was put back afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers = []
    path = tmp_path / "logs" / "broker.log"
    start_logging(path, to_terminal=False)
    yield path
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def test_a_record_is_a_line_with_time_level_and_words(file: Path) -> None:
    """``grep ERROR`` finds it, and its values can be told from its words."""
    structlog.get_logger("kokino.test").error("execution failed", agent="a", kind="auth")
    [line] = file.read_text().splitlines()
    assert re.fullmatch(r"\d{4}-\S+Z ERROR   kokino\.test: execution failed agent='a' kind='auth'", line)


def test_records_of_libraries_look_alike(file: Path) -> None:
    """Whoever uses the standard library's logging ends in the same file and form."""
    logging.getLogger("some.library").warning("%d things", 3)
    [line] = file.read_text().splitlines()
    assert re.fullmatch(r"\d{4}-\S+Z WARNING some\.library: 3 things", line)


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x0b", "\x85", "\u2028"])
def test_no_value_can_begin_a_line_of_its_own(file: Path, end: str) -> None:
    """What an agent says must not be able to forge a record."""
    forged = f"x{end}2026-01-05T09:00:00Z ERROR forged"
    structlog.get_logger("t").info(forged, said=forged)
    assert len(file.read_text().splitlines()) == 1


def test_no_value_can_speak_to_the_terminal(file: Path) -> None:
    """Whoever reads the log with ``tail`` sees an escape sequence, and is not steered by it."""
    structlog.get_logger("t").info("\x1b[2J", said="\x1b]0;title\x07")
    assert not re.search(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]", file.read_text().rstrip("\n"))


def test_an_exception_is_kept_whole_on_its_line(file: Path) -> None:
    """The trace is there, and the record is still one line."""
    try:
        raise RuntimeError("it broke")
    except RuntimeError:
        structlog.get_logger("t").exception("a task failed")
    [line] = file.read_text().splitlines()
    assert "Traceback" in line
    assert "RuntimeError: it broke" in line


def test_what_is_below_the_level_is_left_out(file: Path) -> None:
    """And so is the chatter of the HTTP client."""
    structlog.get_logger("t").debug("small talk")
    logging.getLogger("httpx").info("HTTP Request: GET")
    assert file.read_text() == ""
