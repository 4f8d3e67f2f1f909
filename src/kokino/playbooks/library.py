"""The playbooks of an installation: those that came with Kokino, overridden by those of its home."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from kokino.errors import ConfigInvalid, Fault, NotFound
from kokino.playbooks.model import Playbook
from kokino.playbooks.parse import parse_playbook
from kokino.slo.yamlfolder import misnamed

#: Folder in the package, and in a home.
SHIPPED_FOLDER = "documents"
HOME_FOLDER = "playbooks"
#: Playbooks never change, so the same text is the same one; a process of tests starts hundreds of brokers.
_parsed = lru_cache(maxsize=64)(parse_playbook)


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """All playbooks of an installation."""

    #: By id.
    playbooks: Mapping[str, Playbook]
    #: What to call the file of each in messages, by id.
    files: Mapping[str, str]

    def get(self, playbook_id: str) -> Playbook:
        """The playbook of that id. Raises `NotFound`."""
        if playbook_id not in self.playbooks:
            known = ", ".join(sorted(self.playbooks)) or "none"
            raise NotFound(f"there is no playbook {playbook_id!r}; there are: {known}")
        return self.playbooks[playbook_id]

    def fault(self, playbook: Playbook, key: str, message: str) -> Fault:
        """A fault in what a playbook's front matter says under a key."""
        lines = enumerate(playbook.text.splitlines(), start=1)
        at = next((number for number, line in lines if line.startswith(f"{key}:")), 1)
        return Fault(field=key, message=message, file=self.files[playbook.id], line=at)

    def for_alert(self, rule: str) -> Playbook | None:
        """The playbook that answers an alert rule, or None."""
        return next((playbook for playbook in self.playbooks.values() if playbook.alert == rule), None)


def load_library(home: Path | None = None) -> Library:
    """Read all playbooks. Raises `ConfigInvalid` with the faults of all files."""
    faults: list[Fault] = []
    library = read_library(home, faults)
    if faults:
        raise ConfigInvalid(faults)
    return library


def read_library(home: Path | None, faults: list[Fault]) -> Library:
    """All playbooks; ``<home>/playbooks/<id>.md`` takes the place of the shipped one of that id.

    Those whose files have faults are left out, with every fault of every file in `faults`.
    """
    found: dict[str, Playbook] = {}
    names: dict[str, str] = {}
    if home is not None:
        faults += misnamed(home / HOME_FOLDER, ".md", (".markdown",))
    for source, is_shipped in _sources(home):
        try:
            playbook = _read(source, is_shipped=is_shipped)
            found[playbook.id], names[playbook.id] = playbook, str(source)
        except ConfigInvalid as error:
            faults += error.faults
    library = Library(playbooks=found, files=names)
    faults += _twice_answered(library)
    return library


def _sources(home: Path | None) -> Iterator[tuple[Traversable, bool]]:
    """Every document once, and whether it is the shipped one."""
    own = [] if home is None else sorted((home / HOME_FOLDER).glob("*.md"))
    taken = {path.name for path in own}
    shipped = files("kokino.playbooks").joinpath(SHIPPED_FOLDER).iterdir()
    for document in sorted(shipped, key=lambda item: item.name):
        if document.name.endswith(".md") and document.name not in taken:
            yield document, True
    for path in own:
        yield path, False


def _read(source: Traversable, *, is_shipped: bool) -> Playbook:
    name = str(source)
    try:
        text = source.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid([Fault(field="file", message=f"cannot be read: {error}", file=name)]) from error
    playbook = _parsed(text, file=name, is_shipped=is_shipped)
    if f"{playbook.id}.md" != source.name:
        message = f"must be the name of the file without .md, {source.name.removesuffix('.md')!r}"
        raise ConfigInvalid([Fault(field="id", message=message, file=name, line=1)])
    return playbook


def _twice_answered(library: Library) -> Iterator[Fault]:
    first: dict[str, str] = {}
    for playbook in library.playbooks.values():
        if playbook.alert in first:
            message = f"is answered by {first[playbook.alert]} already; one playbook for each rule"
            yield library.fault(playbook, "alert", message)
        first.setdefault(playbook.alert, playbook.id)
