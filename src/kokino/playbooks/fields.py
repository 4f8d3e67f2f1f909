"""Small YAML, each value with its line, checked against a closed set of keys. Scalars stay text."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta

import yaml

from kokino.playbooks.document import Faults

_LENGTH = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True)
class Value:
    """A piece of YAML and where it stands."""

    #: Text, a list or a mapping.
    content: str | list[Value] | dict[str, Value]
    #: Line in the file.
    line: int


def read_length(text: str) -> timedelta | None:
    """The length that ``30s``, ``5m``, ``1h`` or ``2d`` says; None for anything else."""
    found = _LENGTH.fullmatch(text)
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None


def read_yaml(text: str, first_line: int, name: str, faults: Faults) -> Value | None:
    """The value that `text` holds, whose first line is `first_line` of the file."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        return None if node is None else _value(node, first_line, name, faults)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = first_line + (mark.line if mark else 0)
        faults.add(line, name, f"no YAML: {error.problem or error.context}")
    except (yaml.YAMLError, RecursionError) as error:
        faults.add(first_line, name, f"no YAML: {str(error) or 'nested too deeply'}")
    return None


def closed_mapping(
    value: Value, name: str, faults: Faults, *, required: Collection[str], optional: Collection[str] = ()
) -> Mapping[str, Value]:
    """The mapping in `value`; missing and unknown keys are noted, unknown ones left out."""
    if not isinstance(value.content, dict):
        faults.add(value.line, name, f"must have the keys {', '.join(required)}")
        return {}
    for key in required:
        if key not in value.content:
            faults.add(value.line, f"{name}.{key}", "is missing")
    known = {*required, *optional}
    for key in value.content.keys() - known:
        message = f"is unknown; known are {', '.join(sorted(known))}"
        faults.add(value.content[key].line, f"{name}.{key}", message)
    return {key: held for key, held in value.content.items() if key in known}


def text_of(value: Value | None, name: str, pattern: str, wanted: str, faults: Faults) -> str:
    """The text in `value`, which must match `pattern`; empty, and noted, where it does not."""
    if value is None:
        return ""
    if isinstance(value.content, str) and re.fullmatch(pattern, value.content):
        return value.content
    faults.add(value.line, name, f"must be {wanted}")
    return ""


def length_of(value: Value | None, name: str, faults: Faults) -> timedelta | None:
    """The length in `value`; None, and noted, where it is none."""
    if value is None:
        return None
    found = read_length(value.content) if isinstance(value.content, str) else None
    if found is None:
        faults.add(value.line, name, "must be a length such as 30s, 5m, 1h or 2d")
    return found


def _value(node: yaml.Node, first_line: int, name: str, faults: Faults) -> Value:
    line = first_line + node.start_mark.line
    if isinstance(node, yaml.SequenceNode):
        return Value([_value(item, first_line, name, faults) for item in node.value], line)
    if not isinstance(node, yaml.MappingNode):
        return Value(str(node.value), line)
    held: dict[str, Value] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        if key in held:
            faults.add(first_line + key_node.start_mark.line, f"{name}.{key}", "stands here twice")
        held[key] = _value(value_node, first_line, name, faults)
    return Value(held, line)
