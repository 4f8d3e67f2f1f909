"""The files of a folder: copied with what they held, and looked at again when an agent has worked there."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from kokino.shadow.model import Changed

#: Read at a time.
CHUNK = 1024 * 1024
#: Paths of the snapshot are looked for in changed files up to this size, in bytes.
SEARCHED = 16 * 1024 * 1024
MIB = 1024 * 1024


class NotTaken(Exception):
    """There is no snapshot, and why: this execution is not compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a snapshot may take."""

    files: int = 20_000
    megabytes: int = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """One file as it was."""

    size: int
    modified_ns: int
    #: Of what it holds and of its kind: a link is not the file that it names, nor a program a text.
    digest: str

    def is_as(self, found: os.stat_result) -> bool:
        """Nothing tells that it was touched."""
        is_same = (found.st_size, found.st_mtime_ns) == (self.size, self.modified_ns)
        return is_same and self.digest.startswith(_kind(found))


Manifest = Mapping[str, Entry]


@dataclass(slots=True)
class Copier:
    """Copies files from one folder into another that nobody else uses, within bounds."""

    source: Path
    target: Path
    bounds: Bounds
    #: Set when nobody waits for it any more.
    is_given_up: threading.Event
    _left_bytes: int = field(init=False)
    #: Folders below `source` that are folders and no links, and there now below `target`.
    _made: dict[Path, bool] = field(default_factory=lambda: {Path(): True})

    def __post_init__(self) -> None:
        self._left_bytes = self.bounds.megabytes * MIB

    def copy(self, names: Iterable[str]) -> dict[str, Entry]:
        """Copy what is there of `names`; what each file held. Raises `NotTaken` at the first bound."""
        taken: dict[str, Entry] = {}
        for name in names:
            _go_on(self.is_given_up)
            if len(taken) >= self.bounds.files:
                raise NotTaken(f"it has more than {self.bounds.files:,} files (shadow.snapshot_files)")
            if (entry := self._one(name)) is not None:
                taken[name] = entry
        return taken

    def _one(self, name: str) -> Entry | None:
        """None for what is gone, stands behind a link, or is neither file nor link."""
        if not self._folder(Path(name).parent):
            return None
        source, target = self.source / name, self.target / name
        try:
            found = source.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if stat.S_ISLNK(found.st_mode):
            named = os.readlink(source)  # noqa: PTH115 - a Path would rewrite ./a
            # One that leads back into the real directory must not: what is written to it would land there.
            target.symlink_to(moved(named, self.source, self.target))
            return Entry(found.st_size, found.st_mtime_ns, _link(named))
        if not stat.S_ISREG(found.st_mode):
            return None
        self._left_bytes -= found.st_size
        if self._left_bytes < 0:
            raise NotTaken(f"it has more than {self.bounds.megabytes:,} MiB (shadow.snapshot_mb)")
        return self._file(source, target, found)

    def _file(self, source: Path, target: Path, found: os.stat_result) -> Entry:
        held = hashlib.sha256()
        with source.open("rb") as reading, target.open("xb") as writing:
            while chunk := reading.read(CHUNK):
                _go_on(self.is_given_up)  # it may grow faster than it is read
                held.update(chunk)
                writing.write(chunk)
            os.fchmod(writing.fileno(), stat.S_IMODE(found.st_mode) | stat.S_IRUSR | stat.S_IWUSR)
        # By these git and we know later that it was not touched.
        os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
        return Entry(found.st_size, found.st_mtime_ns, _kind(found) + held.hexdigest())

    def _folder(self, below: Path) -> bool:
        """Make the folder in the copy; False where a link stands in its place."""
        if below not in self._made:
            # From the top, not by recursion: folders may lie a thousand deep.
            for folder in [*reversed(below.parents), below]:
                if folder not in self._made:
                    self._made[folder] = self._made[folder.parent] and _is_folder(self.source / folder)
                    if self._made[folder]:
                        (self.target / folder).mkdir(exist_ok=True)
        return self._made[below]


def changed(
    root: Path,
    names: Collection[str],
    before: Manifest,
    is_given_up: threading.Event,
    *,
    known_as: Path | None = None,
) -> Changed:
    """What of `names`, and of what was there before, is otherwise now: a hash, or None for what is gone.

    `known_as` is the place that a snapshot stands for: its own path means that one where a file names it.
    Raises `NotTaken` once `is_given_up` is set: an agent may leave a file that takes hours to be read.
    """
    look = _Look(root, known_as or root, is_given_up)
    found = {name: look.now(name, before.get(name)) for name in {*names, *before}}
    was = {name: entry.digest for name, entry in before.items()}
    return {name: digest for name, digest in sorted(found.items()) if digest != was.get(name)}


@dataclass(frozen=True, slots=True)
class _Look:
    """A look at what is in one place now."""

    root: Path
    known_as: Path
    is_given_up: threading.Event

    def now(self, name: str, before: Entry | None) -> str | None:
        _go_on(self.is_given_up)
        root = self.root
        try:
            if not all(_is_folder(root / parent) for parent in list(Path(name).parents)[:-1]):
                return None
            found = (root / name).lstat()
            if stat.S_ISLNK(found.st_mode):
                named = os.readlink(root / name)  # noqa: PTH115 - as above
                return _link(moved(named, root, self.known_as))
            if not stat.S_ISREG(found.st_mode):
                return None
            if before is not None and before.is_as(found):
                return before.digest
            return _kind(found) + self._hash(root / name, found.st_size)
        except FileNotFoundError:
            return None
        except OSError as error:
            return f"cannot be read: {error.strerror}"

    def _hash(self, file: Path, size: int) -> str:
        if self.root != self.known_as and size <= SEARCHED:
            held = file.read_bytes().replace(os.fsencode(self.root), os.fsencode(self.known_as))
            return hashlib.sha256(held).hexdigest()
        held_so_far = hashlib.sha256()
        with file.open("rb") as reading:
            while chunk := reading.read(CHUNK):
                _go_on(self.is_given_up)
                held_so_far.update(chunk)
        return held_so_far.hexdigest()


def _go_on(is_given_up: threading.Event) -> None:
    """Raise `NotTaken` where nobody waits any more."""
    if is_given_up.is_set():
        raise NotTaken("it took too long")


def moved(named: str, old: Path, new: Path) -> str:
    """What a link names, seen from another place; one that leads elsewhere stays as it is."""
    path = Path(named)
    return str(new / path.relative_to(old)) if path.is_relative_to(old) else named


def walk(root: Path, *, limit: int) -> list[str]:
    """Every file and link below a folder; one more than `limit` at most."""
    found: list[str] = []
    for name in _walk(root):
        found.append(name)
        if len(found) > limit:
            break
    return found


def _walk(root: Path) -> Iterator[str]:
    ways = [_entries(root)]
    while ways:
        entry = next(ways[-1], None)
        if entry is None:
            ways.pop()
        elif entry.is_dir(follow_symlinks=False):
            ways.append(_entries(entry.path))
        else:
            yield str(Path(entry.path).relative_to(root))


def _entries(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    try:
        return iter(sorted(os.scandir(folder), key=lambda entry: entry.name))
    except OSError:  # taken away meanwhile, or closed to us
        return iter(())


def save(manifest: Manifest, file: Path) -> None:
    """Keep it for another broker."""
    file.write_text(json.dumps({name: asdict(entry) for name, entry in manifest.items()}), "utf-8")


def load(file: Path) -> dict[str, Entry]:
    """The reverse of `save`. Raises `OSError` and `ValueError`."""
    return {name: Entry(**entry) for name, entry in json.loads(file.read_text("utf-8")).items()}


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _kind(found: os.stat_result) -> str:
    return "program:" if found.st_mode & stat.S_IXUSR else "file:"


def _link(named: str) -> str:
    return "link:" + hashlib.sha256(os.fsencode(named)).hexdigest()
