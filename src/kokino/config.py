"""The configuration file: found, read and located; what a section means is its noun's business.

Each noun declares a `Settings` model and asks for its `Section`. Whatever is wrong is collected with its
line, so that a file with three mistakes is answered with all three.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from kokino.errors import ConfigInvalid, Fault
from kokino.lengths import parse_length
from kokino.validation import causes, hint, in_words, place

FILE_NAME = "kokino.toml"

#: All sections there are; a word that is none of them is a fault, not a silent default.
SECTIONS = (
    "server",
    "storage",
    "process",
    "sessions",
    "calendar",
    "alerting",
    "integrity",
    "doctor",
    "shadow",
    "cli_types",
    "agents",
    "fallback",
    "receivers",
    "owners",
)
#: Those that are written as an array of tables, ``[[agents]]``; the others are one table each.
ARRAYS = frozenset({"agents"})


#: A length of time in a settings model.
Length = Annotated[timedelta, BeforeValidator(parse_length)]


def refuse_text(value: object) -> object:
    """`value`, unless it is a text or a truth where a number belongs: pydantic would take these for one."""
    if isinstance(value, str | bool):
        raise ValueError("must be a number, without quotes")
    return value


#: Numbers in a settings model.
Whole = Annotated[int, BeforeValidator(refuse_text)]
Amount = Annotated[float, BeforeValidator(refuse_text)]


class Settings(BaseModel):
    """Base of what a noun reads from its section: unknown keys are faults, values never change."""

    # A model is built when a file has its section: most have few of them, and a start would build all.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


M = TypeVar("M", bound=BaseModel)


@dataclass(slots=True)
class Faults:
    """Collects everything that is wrong, to be said at once."""

    found: list[Fault] = field(default_factory=list)

    def add(self, fault: Fault) -> None:
        """Note one fault."""
        self.found.append(fault)

    def raise_if_any(self) -> None:
        """Raise `ConfigInvalid` with all faults in the order of the file, if there is one."""
        if self.found:
            raise ConfigInvalid(sorted(self.found, key=lambda fault: (fault.file or "", fault.line or 0)))


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the file, with the means to say where each of its values stands."""

    #: ``server`` or ``agents[1]``.
    path: str
    #: The values as TOML gave them.
    values: Mapping[str, Any]
    file: str | None
    lines: Mapping[str, int]

    def read(self, model: type[M], faults: Faults) -> M | None:
        """The section as `model`; None when it has faults, which are then in `faults`."""
        try:
            return model.model_validate(dict(self.values))
        except ValidationError as error:
            for detail in causes(error.errors()):
                faults.add(self._fault(model, detail))
        return None

    def fault(self, field_name: str, message: str) -> Fault:
        """A fault in one of this section's values, with its line."""
        path = f"{self.path}.{field_name}" if field_name else self.path
        return Fault(field=path, message=message, file=self.file, line=self._line(path))

    def tables(self) -> list[tuple[str, Section]]:
        """The named tables below this one, such as ``[receivers.oncall]``; what is no table is left out."""
        return [
            (name, Section(f"{self.path}.{name}", value, self.file, self.lines))
            for name, value in self.values.items()
            if isinstance(value, Mapping)
        ]

    def _fault(self, model: type[BaseModel], detail: Any) -> Fault:
        path = [str(part) for part in place(detail)]
        match detail["type"]:
            case "extra_forbidden":
                message = f"is no setting here; {hint(path[-1], _fields_at(model, path[:-1]))}"
            case "missing":
                message = "is missing"
            case "model_type" | "dict_type":
                message = "must be a table"
            case _:
                message = in_words(detail)
        return self.fault(".".join(path), message)

    def _line(self, path: str) -> int | None:
        """The line of the value, or of the nearest thing around it that has one."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return None


def _fields_at(model: type[BaseModel], path: Sequence[str]) -> Collection[str]:
    """The settings of the table that `path` leads to, of models inside each other."""
    for part in path:
        inner = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            break
        model = inner
    return list(model.model_fields)


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that was configured, still raw."""

    #: Where data, logs and incidents go.
    home: Path
    #: The file that was read; None when there was none and defaults hold.
    file: Path | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)

    def section(self, name: str) -> Section:
        """The table `name`; empty when the file has none."""
        value = self.values.get(name, {})
        return Section(name, value if isinstance(value, Mapping) else {}, self._file, self.lines)

    def sections(self, name: str) -> list[Section]:
        """The tables of an array, ``[[agents]]``."""
        value = self.values.get(name, [])
        tables = value if isinstance(value, list) else []
        return [
            Section(f"{name}[{number}]", table, self._file, self.lines)
            for number, table in enumerate(tables)
            if isinstance(table, Mapping)
        ]

    def unknown_sections(self) -> list[Fault]:
        """A fault for every top-level word that is no section, or not of its section's form."""
        wrong = ((name, _why_no_section(name, value)) for name, value in self.values.items())
        return [
            Fault(field=name, message=why, file=self._file, line=self.lines.get(name))
            for name, why in wrong
            if why is not None
        ]

    @property
    def _file(self) -> str | None:
        return None if self.file is None else str(self.file)


def _why_no_section(name: str, value: object) -> str | None:
    if name not in SECTIONS:
        return f"is no section; known: {', '.join(SECTIONS)}"
    if name in ARRAYS:
        is_formed = isinstance(value, list) and all(isinstance(table, Mapping) for table in value)
        return None if is_formed else f"must be written as [[{name}]], once for each"
    return None if isinstance(value, Mapping) else f"must be a table, written as [{name}]"


def load(home: Path) -> Config:
    """Read ``kokino.toml`` in `home`; defaults where there is none.

    Raises `ConfigInvalid` when the file is no TOML, with the line that is not.
    """
    file = home / FILE_NAME
    if not file.exists():
        return Config(home)
    try:
        text = file.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except OSError as error:
        raise ConfigInvalid(
            [Fault(field="file", message=f"cannot be read: {error.strerror}", file=str(file))]
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigInvalid([Fault(field="file", message="is not UTF-8 text", file=str(file))]) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigInvalid([_syntax_fault(file, error)]) from error
    return Config(home, file, values, locate(text))


def _syntax_fault(file: Path, error: tomllib.TOMLDecodeError) -> Fault:
    said = str(error)
    at = re.search(r"at line (\d+)", said)
    return Fault(
        field="file", message=f"is not TOML: {said}", file=str(file), line=int(at[1]) if at else None
    )


_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]")
_KEY = re.compile(
    r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")
_QUOTES = re.compile(r'"""|\'\'\'')


def locate(text: str) -> dict[str, int]:
    """The line, from 1, of each table and key: ``{"server.port": 3, "agents[0].cwd": 9}``.

    tomllib keeps no positions. What a multi-line string holds is passed over.
    """
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    table = ""
    quotes: str | None = None
    # Not splitlines: TOML knows no other end of a line.
    for number, line in enumerate(text.split("\n"), start=1):
        is_inside, quotes = quotes is not None, _open_quotes(line, quotes)
        if is_inside:
            continue
        if header := _HEADER.match(line):
            table = _table_path(header, counts)
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            path = _joined(table, key[1])
            lines.setdefault(path, number)
    for path, number in list(lines.items()):
        lines.setdefault(re.split(r"[.\[]", path, maxsplit=1)[0], number)
    return lines


def _open_quotes(line: str, quotes: str | None) -> str | None:
    """The quotes of the multi-line string that is open behind this line, when `quotes` are open before it."""
    for found in _QUOTES.findall(line):
        if quotes is None:
            quotes = found
        elif quotes == found:
            quotes = None
    return quotes


def _table_path(header: re.Match[str], counts: dict[str, int]) -> str:
    """``agents[1].env`` for ``[agents.env]`` behind the second ``[[agents]]``, as TOML reads it."""
    path = ""
    for part in _PART.findall(header[2]):
        path = _joined(f"{path}[{counts[path] - 1}]" if path in counts else path, part)
    if header[1] == "[[":
        counts[path] = number = counts.get(path, 0) + 1
        return f"{path}[{number - 1}]"
    return path


def _joined(table: str, key: str) -> str:
    parts = [part.strip("\"'") for part in _PART.findall(key)]
    return ".".join([table, *parts] if table else parts)
