"""The YAML files of an installation: those that ship with Kokino, overridden by those of its home."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path

from kokino.errors import Fault

SUFFIX = ".yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One file."""

    #: What to call it in messages: its path, for one of a home.
    name: str
    #: Its name without the suffix.
    stem: str
    text: str
    is_shipped: bool


def misnamed(folder: Path, suffix: str, others: Collection[str] = ()) -> Iterator[Fault]:
    """A fault for each file that is meant to be read, by its ending, and would not be.

    What ends otherwise is nobody's business here: a README, a copy that an editor keeps.
    """
    for path in sorted(folder.glob("*")):
        if path.suffix != suffix and path.suffix.lower() in {suffix, *others}:
            yield Fault(field="file", message=f"must end in {suffix}, or nobody reads it", file=str(path))


def texts(shipped: Traversable, own: Path | None, faults: list[Fault]) -> Iterator[Text]:
    """Every file once, in the order of their names; one of `own` takes the place of the shipped one.

    What cannot be read is in `faults`.
    """
    found: dict[str, tuple[Traversable, bool]] = {
        file.name: (file, True) for file in shipped.iterdir() if file.name.endswith(SUFFIX)
    }
    if own is not None:
        faults.extend(misnamed(own, SUFFIX, (".yml",)))
        found |= {path.name: (path, False) for path in own.glob(f"*{SUFFIX}")}
    for name, (file, is_shipped) in sorted(found.items()):
        shown = name if is_shipped else str(file)
        try:
            text = file.read_bytes().decode()
        except (OSError, UnicodeDecodeError) as error:
            faults.append(Fault(field="file", message=f"cannot be read: {error}", file=shown))
        else:
            yield Text(name=shown, stem=name.removesuffix(SUFFIX), text=text, is_shipped=is_shipped)
