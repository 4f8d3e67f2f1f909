"""A matcher: a label of an alert and what it must be, as Alertmanager has them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import re2

#: How it is written, by whether it must match and whether it is an expression.
SIGNS = {(True, False): "=", (True, True): "=~", (False, False): "!=", (False, True): "!~"}
_FORMS = {sign: form for form, sign in SIGNS.items()}
_WRITTEN = re.compile(r"\s*(?P<name>[^=!~\s]+)\s*(?P<sign>=~|!~|!=|=)(?P<value>.*)", re.DOTALL)
_LONGEST_PATTERN = 200
#: RE2, as Alertmanager has it: other engines may take for ever over an expression that somebody gave us.
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Matcher:
    """A label, and what it must be."""

    name: str
    value: str
    #: `value` is a regular expression that the whole label must match.
    is_regex: bool = False
    #: False: it must not.
    is_equal: bool = True

    def matches(self, facts: Mapping[str, str]) -> bool:
        """True for an alert with these facts; what it has not is empty."""
        found = facts.get(self.name, "")
        is_it = bool(_compiled(self.value).fullmatch(found)) if self.is_regex else found == self.value
        return is_it is self.is_equal

    def to_document(self) -> dict[str, Any]:
        """As it is stored, in Alertmanager's form."""
        return {
            "name": self.name,
            "value": self.value,
            "isRegex": self.is_regex,
            "isEqual": self.is_equal,
        }

    @classmethod
    def parse(cls, said: str) -> Self:
        """Read ``name=value``, ``!=``, ``=~`` or ``!~``. Raises `ValueError` for what is none of them."""
        found = _WRITTEN.fullmatch(said)
        if found is None:
            raise ValueError(f"{said!r} is no matcher: write name=value, or !=, =~ or !~ in place of =")
        is_equal, is_regex = _FORMS[found["sign"]]
        return cls(name=found["name"], value=found["value"], is_regex=is_regex, is_equal=is_equal)

    def fault(self) -> str | None:
        """What is wrong with its expression."""
        if not self.is_regex:
            return None
        if len(self.value) > _LONGEST_PATTERN:
            return f"must be at most {_LONGEST_PATTERN} characters long"
        try:
            _compiled(self.value)
        except re2.error as error:
            return f"is no regular expression (RE2): {_said(error)}"
        return None

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Back from `to_document`."""
        return cls(
            name=document["name"],
            value=document["value"],
            is_regex=document["isRegex"],
            is_equal=document["isEqual"],
        )

    def __str__(self) -> str:
        return f"{self.name}{SIGNS[self.is_equal, self.is_regex]}{self.value}"


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    return re2.compile(pattern, _OPTIONS)


def _said(error: Exception) -> str:
    said = error.args[0]
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)
