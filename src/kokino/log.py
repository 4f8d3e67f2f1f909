"""The broker's log: one line a record, with its level, on the terminal and in a rotated file."""

from __future__ import annotations

import logging
import logging.handlers
import os
import re
import sys
from pathlib import Path
from typing import Any

import structlog

#: The file is turned over at this size, in bytes, and this many old ones are kept: 60 MB at most.
ROTATE_AT = 10_000_000
KEEP = 5


def start_logging(file: Path | None, *, level: str = "INFO", to_terminal: bool = True) -> None:
    """Send structlog and every library's logging to `file` and to the terminal."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    for handler in _handlers(file, to_terminal=to_terminal):
        handler.setFormatter(
            structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_RENDERING)
        )
        root.addHandler(handler)
    root.setLevel(level)
    # What these say of each request and start would bury what matters.
    for chatty in ("httpx", "httpcore", "alembic", "uvicorn"):
        logging.getLogger(chatty).setLevel("WARNING")


class _PrivateFile(logging.handlers.RotatingFileHandler):
    """For this user only: what agents say and why they fail is nobody else's business."""

    def _open(self) -> Any:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return os.fdopen(descriptor, self.mode, encoding=self.encoding, errors=self.errors)


def _handlers(file: Path | None, *, to_terminal: bool) -> list[logging.Handler]:
    handlers: list[logging.Handler] = []
    if to_terminal:
        handlers.append(logging.StreamHandler(sys.stderr))
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handlers.append(_PrivateFile(file, maxBytes=ROTATE_AT, backupCount=KEEP, encoding="utf-8"))
    return handlers


def _line(_logger: object, _method: str, record: structlog.typing.EventDict) -> str:
    when = record.pop("timestamp", "")
    level = str(record.pop("level", "info")).upper()
    name = record.pop("logger", "")
    event = _one_line(record.pop("event", ""))
    rest = " ".join(f"{key}={_one_line(value)!r}" for key, value in record.items() if not key.startswith("_"))
    return f"{when} {level:<7} {name}: {event} {rest}".rstrip()


def _one_line(value: object) -> str:
    """Newlines are shown, not printed: what an agent says must not be able to forge a record.

    Nor may it steer the terminal of whoever reads the file, so other control characters are shown too.
    """
    return _UNPRINTED.sub(lambda found: ascii(found[0])[1:-1], str(value))


#: Control characters but the tab, and what Unicode counts as an end of line.
_UNPRINTED = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")

#: ``2026-01-05T09:00:00Z ERROR message key=value``: grep by level, read by eye, the same on the terminal.
_RENDERING: list[structlog.typing.Processor] = [
    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
    _line,
]
