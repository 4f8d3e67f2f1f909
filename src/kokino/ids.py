"""Identifiers: how they are made, and which ones we accept from outside."""

from __future__ import annotations

import re
import secrets
import uuid
from typing import Protocol

#: What an id from outside may look like: safe in paths, URLs, shells and logs.
ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}"
_ID = re.compile(ID_PATTERN)

#: A label's name as every Prometheus and Alertmanager takes it.
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

#: Words that stand where an agent id could stand in a path.
RESERVED = frozenset({"sessions", "processes", "circuits", "logs", "register"})


def fault_in(value: str) -> str | None:
    """What is wrong with an id from outside, as a sentence, or None."""
    if not _ID.fullmatch(value):
        return (
            "must start with a letter or digit and hold only letters, digits, '_', '.' and '-', 128 at most"
        )
    if value in RESERVED:
        return f"{value!r} is a reserved word; choose another id"
    return None


def metric_word(text: str) -> str:
    """`text` as a part of a metric's name. Ids that differ only in ``.``, ``-`` and ``_`` become the same."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", text)


def label_name(text: str) -> str:
    """`text` as the name of a label; what is one stays as it is."""
    word = metric_word(text)
    return word if LABEL_NAME.fullmatch(word) else f"_{word}"


class Ids(Protocol):
    """Makes identifiers."""

    def new(self, prefix: str) -> str:
        """A fresh id that starts with `prefix` and a hyphen: ``exec-…``."""
        ...

    def uuid(self) -> str:
        """A fresh UUID, for the places where another program demands one."""
        ...


class RandomIds:
    """Ids that never collide: 80 random bits."""

    def new(self, prefix: str) -> str:
        return f"{prefix}-{secrets.token_hex(10)}"

    def uuid(self) -> str:
        return str(uuid.uuid4())
