"""YAML that people read: expressions as blocks, keys in the order in which they were put."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Lists are indented below their key; nothing is an alias of something else."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def written(value: Any) -> str:
    """`value` as YAML."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)


def comment(lines: Sequence[str], indent: int = 0) -> str:
    """Each of these on a comment line of its own, whatever stands in it."""
    return "".join(f"{' ' * indent}# {_printable(line)}".rstrip() + "\n" for line in lines)


def _printable(line: str) -> str:
    """A break in a comment would end it, and other control characters are no YAML."""
    return "".join(sign if sign.isprintable() else " " for sign in line)
