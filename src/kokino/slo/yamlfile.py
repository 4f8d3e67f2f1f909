"""Read a YAML file into a model, and say everything that is wrong with it, each fault with its line."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from kokino.errors import Fault
from kokino.validation import causes, in_words, place

M = TypeVar("M", bound=BaseModel)

#: Both build nothing but plain values.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: Where a value stands: keys and places in lists, from the top of the document.
Path = Sequence[str | int]


@dataclass(frozen=True, slots=True)
class YamlFile:
    """One parsed document that still knows its lines."""

    #: What to call it in messages.
    name: str
    #: Its values.
    values: Any
    #: Its node tree, which has the lines.
    root: yaml.Node | None

    def fault(self, path: Path, message: str) -> Fault:
        """A fault at the value that `path` leads to, or at the nearest thing around it that is there."""
        shown, line = self._follow(path)
        return Fault(field=".".join(map(str, shown)) or "file", message=message, file=self.name, line=line)

    def _follow(self, path: Path) -> tuple[list[str | int], int]:
        """Walk down. A part that is not there is a missing key, or pydantic's own: a union's tag."""
        node, line, shown = self.root, 0 if self.root is None else _line(self.root), list[str | int]()
        for number, part in enumerate(path):
            below = _below(node, part)
            if below is not None:
                node, line = below
            is_missing = number == len(path) - 1 and isinstance(node, yaml.MappingNode)
            if below is not None or is_missing:
                shown.append(part)
        return shown, line + 1


def parse(name: str, text: str, faults: list[Fault]) -> YamlFile | None:
    """The document in `text`; None when it is no YAML, which is then in `faults`."""
    loader = LOADER(text)
    try:
        # Once, for the values and the lines; and by libyaml where there is one, thirty times as fast.
        root = loader.get_single_node()
        values = None if root is None else loader.construct_document(root)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        said = getattr(error, "problem", None) or str(error)
        line = None if mark is None else mark.line + 1
        faults.append(Fault(field="file", message=f"is not YAML: {said}", file=name, line=line))
        return None
    finally:
        loader.dispose()
    duplicates = [*_duplicates(root)]
    faults.extend(
        Fault(field=key.value, message="stands here twice", file=name, line=key.start_mark.line + 1)
        for key in duplicates
    )
    return None if duplicates else YamlFile(name, values, root)


def read(file: YamlFile, model: type[M], faults: list[Fault]) -> M | None:
    """The document as `model`; None when it has faults, which are then in `faults`."""
    try:
        return model.model_validate(file.values)
    except ValidationError as error:
        faults.extend(file.fault(place(detail), _message(model, detail)) for detail in causes(error.errors()))
    return None


def _below(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node, int] | None:
    """What stands under a key or at a place in a list, and the line of that key or place."""
    if isinstance(node, yaml.MappingNode):
        return next(((value, _line(key)) for key, value in node.value if key.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], _line(node.value[part])
    return None


def _line(node: yaml.Node) -> int:
    """From 0."""
    line: int = node.start_mark.line
    return line


def _duplicates(node: yaml.Node | None) -> Iterator[yaml.Node]:
    """Keys that stand twice in one mapping: YAML would silently take the last."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield key
            seen.add(key.value)
            yield from _duplicates(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _duplicates(value)


def _message(model: type[BaseModel], detail: Any) -> str:
    match detail["type"]:
        case "extra_forbidden":
            return _unknown(str(detail["loc"][-1]), sorted(_fields(model)))
        case "missing":
            return "is missing"
        case "model_type" | "model_attributes_type" | "dict_type":
            return (
                "is empty" if detail["input"] is None else "must hold keys and values, written as key: value"
            )
        case _:
            return in_words(detail)


def _unknown(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"is no setting here; did you mean {near[0]!r}?" if near else "is no setting here"


def _fields(model: type[BaseModel]) -> Iterator[str]:
    """Every key that may stand somewhere in a document of `model`."""
    for name, field in model.model_fields.items():
        yield field.alias or name
        for inner in _models(field.annotation):
            yield from _fields(inner)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)
