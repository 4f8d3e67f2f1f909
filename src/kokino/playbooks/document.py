"""The Markdown of a playbook, cut into front matter, sections, blocks and tables, each with its line.

Nothing here knows what a step or a pattern is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from markdown_it import MarkdownIt
from markdown_it.token import Token

from kokino.errors import Fault

_FENCE_INFO = re.compile(r"(?P<language>[^\s{]*)\s*\{(?P<attributes>.*)\}\s*")
_LINE_END = re.compile(r"\r\n?|\n")
_CELL_END = re.compile(r"(?<!\\)\|")
#: Nesting of a row whose table stands in no list or quote.
_ROW_LEVEL = 2


class Faults:
    """Collects all that is wrong with one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._found: list[Fault] = []

    def add(self, line: int, field_name: str, message: str) -> None:
        """Note one fault; `line` counts from 1."""
        self._found.append(Fault(field=field_name, message=message, file=self.file, line=line))

    def listed(self) -> list[Fault]:
        """All of them in the order of their lines."""
        return sorted(self._found, key=lambda fault: fault.line or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block that is more than an example: its info string has ``{...}``."""

    #: First word of the info string.
    language: str
    #: What stands between the braces.
    attributes: str
    #: What stands between the fences.
    text: str
    #: Line of the opening fence; the text begins on the next.
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a table."""

    #: The text of each cell, without the backquotes around a whole cell.
    cells: tuple[str, ...]
    #: Where it stands.
    line: int


@dataclass(slots=True, kw_only=True)
class Part:
    """What stands under one third-level heading, or before the first one of its section."""

    #: The heading; empty before the first one.
    title: str
    #: Line of the heading.
    line: int
    #: Executable blocks, in order.
    blocks: list[Block] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Chapter:
    """What stands under one second-level heading."""

    #: The heading.
    title: str
    #: Line of the heading.
    line: int
    #: At least one: what stands before the first third-level heading.
    parts: list[Part]
    #: Tables, each with its header row first.
    tables: list[list[Row]] = field(default_factory=list)

    def blocks(self) -> Iterator[Block]:
        """All executable blocks."""
        for part in self.parts:
            yield from part.blocks


@dataclass(slots=True, kw_only=True)
class Document:
    """A playbook as Markdown."""

    #: YAML between the first two ``---`` lines.
    front_matter: str
    #: Its first-level heading.
    title: str = ""
    #: In the order of the text.
    chapters: list[Chapter] = field(default_factory=list)


def read_document(text: str, faults: Faults) -> Document:
    """Cut `text`; what cannot be cut is noted in `faults`."""
    lines = _LINE_END.split(text)
    front_matter, body_at = _front_matter(lines, faults)
    document = Document(front_matter=front_matter)
    # Blank lines instead of the front matter keep every line number of the body true.
    body = "\n" * body_at + "\n".join(lines[body_at:])
    tokens = MarkdownIt("commonmark").enable("table").parse(body)
    for token, following in zip_longest(tokens, tokens[1:]):
        if token.map is not None:
            _place(document, token, following, lines, faults)
    return document


def _front_matter(lines: Sequence[str], faults: Faults) -> tuple[str, int]:
    if not lines or lines[0].rstrip() != "---":
        faults.add(1, "front matter", "the file must begin with a line ---, YAML and another line ---")
        return "", 0
    for index, line in enumerate(lines[1:], start=1):
        if line.rstrip() == "---":
            return "\n".join(lines[1:index]), index + 1
    faults.add(1, "front matter", "no line --- ends it")
    return "", len(lines)


def _place(
    document: Document, token: Token, following: Token | None, lines: Sequence[str], faults: Faults
) -> None:
    line = (token.map or [0])[0] + 1
    if token.type == "heading_open" and token.level == 0 and following is not None:
        _heading(document, token.tag, following.content.strip(), line)
    elif token.type == "fence" and _FENCE_INFO.fullmatch(token.info.strip()):
        _block(document, token, line, faults)
    elif token.type == "table_open" and token.level == 0 and document.chapters:
        document.chapters[-1].tables.append([])
    elif token.type == "tr_open" and token.level == _ROW_LEVEL and document.chapters:
        document.chapters[-1].tables[-1].append(Row(cells=_cells(lines[line - 1]), line=line))


def _heading(document: Document, tag: str, title: str, line: int) -> None:
    if tag == "h1" and not document.title:
        document.title = title
    elif tag == "h2":
        opening = Part(title="", line=line)
        document.chapters.append(Chapter(title=title, line=line, parts=[opening]))
    elif tag == "h3" and document.chapters:
        document.chapters[-1].parts.append(Part(title=title, line=line))


def _block(document: Document, token: Token, line: int, faults: Faults) -> None:
    info = _FENCE_INFO.fullmatch(token.info.strip())
    if info is None:
        return
    if token.level > 0 or not document.chapters:
        faults.add(line, "block", "an executable block stands under a heading, not in a list or quote")
        return
    block = Block(language=info["language"], attributes=info["attributes"], text=token.content, line=line)
    document.chapters[-1].parts[-1].blocks.append(block)


def _cells(line: str) -> tuple[str, ...]:
    """The cells as written: Markdown itself would pad or cut a row of the wrong length."""
    inner = line.strip().removeprefix("|")
    pieces = _CELL_END.split(inner)
    if len(pieces) > 1 and not pieces[-1].strip():
        pieces.pop()
    return tuple(_unquoted(piece.strip().replace(r"\|", "|")) for piece in pieces)


def _unquoted(cell: str) -> str:
    quoted = re.fullmatch(r"`([^`]*)`", cell)
    return quoted[1].strip() if quoted else cell
