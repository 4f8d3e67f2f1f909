"""The front matter of a playbook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from kokino.ids import ID_PATTERN
from kokino.playbooks.document import Faults
from kokino.playbooks.fields import Value, closed_mapping, length_of, read_yaml, text_of
from kokino.playbooks.model import SCHEMA, Budgets

_ID = (ID_PATTERN, "a name of letters, digits, '_', '.' and '-'")
_INPUT_NAME = r"[A-Z][A-Z0-9_]*"
#: Key, pattern of its text, what that pattern wants.
_TEXTS = {
    "schema": (SCHEMA.replace(".", r"\."), SCHEMA),
    "id": _ID,
    "alert": _ID,
    "severity": ("P[123]", "P1, P2 or P3"),
    "owner": (r"@[\w.-]+", "a name such as @backend-team"),
    "escalation": _ID,
}
_PARTS = frozenset({"alert", "pattern", "repair", "verified"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The front matter, as far as it could be read."""

    #: The text keys: ``id``, ``alert``, ``severity``, ``owner``, ``escalation``; empty where faulty.
    texts: Mapping[str, str]
    #: Name of each declared input, with its meaning and its line.
    inputs: Mapping[str, tuple[str, int]]
    #: Default budgets of the drills; None where faulty.
    budgets: Budgets | None


def read_header(front_matter: str, faults: Faults) -> Header:
    """Read the YAML between the ``---`` lines; it begins on line 2 of the file."""
    value = read_yaml(front_matter, 2, "front matter", faults)
    if value is None:
        faults.add(1, "front matter", "is empty")
        return Header(texts=dict.fromkeys(_TEXTS, ""), inputs={}, budgets=None)
    held = closed_mapping(value, "front matter", faults, required=(*_TEXTS, "inputs", "drill"))
    texts = {key: text_of(held.get(key), key, *wanted, faults) for key, wanted in _TEXTS.items()}
    budgets = read_budgets(held["drill"], "drill", faults) if "drill" in held else None
    return Header(texts=texts, inputs=_inputs(held.get("inputs"), faults), budgets=budgets)


def read_budgets(value: Value, name: str, faults: Faults, default: Budgets | None = None) -> Budgets | None:
    """Four lengths; those left out come from `default`, and must stand there where it is None."""
    required, optional = ((), _PARTS) if default else (_PARTS, ())
    held = closed_mapping(value, name, faults, required=required, optional=optional)
    found = {part: length_of(held.get(part), f"{name}.{part}", faults) for part in _PARTS}
    whole: dict[str, timedelta] = {part: length for part, length in found.items() if length is not None}
    if default is not None:
        left_out = _PARTS - held.keys()
        whole |= {part: getattr(default, part) for part in left_out}
    return Budgets(**whole) if len(whole) == len(_PARTS) else None


def _inputs(value: Value | None, faults: Faults) -> dict[str, tuple[str, int]]:
    if value is None:
        return {}
    if not isinstance(value.content, dict):
        faults.add(value.line, "inputs", "must map each name to what it holds")
        return {}
    for name, meaning in value.content.items():
        text_of(Value(name, meaning.line), f"inputs.{name}", _INPUT_NAME, "in capital letters", faults)
        text_of(meaning, f"inputs.{name}", r".*\S.*", "a sentence on what it holds", faults)
    return {name: (str(meaning.content), meaning.line) for name, meaning in value.content.items()}
