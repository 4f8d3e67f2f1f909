"""Control groups (v2), where we have been given some: the kernel keeps limits, and kills a tree in one call.

A tier above the walks of /proc, never instead of them: what leaves its group, as the same user or root may,
is still below its keeper. Whatever the kernel refuses, the execution runs without it. Standard library only.

Memory and process limits are files here; they are there when those controllers are handed down to us.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

#: What we ask to be handed down to the executions' groups.
CONTROLLERS = ("memory", "pids")
#: pids.max counts threads, a launch's limit counts processes: node has some twenty threads in each.
TASKS_EACH = 32
#: systemd's mark on what it leaves to somebody else (systemd.resource-control(5), Delegate=).
_MARKS = ("user.delegate", "trusted.delegate")
#: What systemd calls its own groups; without its mark, they are not ours even where we may write.
_UNITS = (".service", ".scope", ".slice")


class Group:
    """One execution's group."""

    def __init__(self, path: str) -> None:
        self.path = path

    def enter(self) -> None:
        """Move the calling process into it; raises OSError."""
        _write(Path(self.path, "cgroup.procs"), "0")

    def kill(self) -> set[int]:
        """Kill all that is in it, which no fork gets away from; return the pids that were there.

        Nothing happens where the kernel has no such call (before 5.14): the walks find them.
        """
        path = Path(self.path)
        with suppress(OSError):
            found = {int(pid) for folder in _folders(path) for pid in _read(folder / "cgroup.procs").split()}
            _write(path / "cgroup.kill", "1")
            return found
        return set()

    def limit(self, memory_bytes: int | None, processes: int | None) -> None:
        """Have the kernel keep the limits, as far as their controllers are here; raises OSError."""
        path = Path(self.path)
        if memory_bytes is not None and (path / "memory.max").exists():
            _write(path / "memory.max", str(memory_bytes))
            for name, value in (("memory.swap.max", "0"), ("memory.oom.group", "1")):
                with suppress(FileNotFoundError):  # no swap in this kernel; before 4.19
                    _write(path / name, value)
        if processes is not None and (path / "pids.max").exists():
            _write(path / "pids.max", str(processes * TASKS_EACH))

    def breach(self) -> str | None:
        """The limit that the kernel had to enforce, as a word of `kokino.process.model.Breach`."""
        path = Path(self.path)
        if _count(path / "memory.events", "oom_kill"):
            return "memory"
        return "processes" if _count(path / "pids.events", "max") else None

    def remove(self) -> bool:
        """Take it away with what was made below it; False while something lives there."""
        try:
            for folder in reversed(list(_folders(Path(self.path)))):
                folder.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True


class Groups:
    """One warden's groups: a folder below `root`, and a group in it for each execution."""

    def __init__(self, root: Path, name: str, log: Callable[[str], None]) -> None:
        #: Holds the executions' groups.
        self.folder = root / name
        self._log = log
        #: Numbers the groups: an execution may be started again, and a group counts what its first one did.
        self._made = 0
        #: Those that could not be removed yet.
        self._remains: list[Group] = []

    def open(self) -> bool:
        """Make the folder, and end what a killed warden and killed keepers left there; False if refused."""
        try:
            self.folder.mkdir(exist_ok=True)
            left = [Group(str(path)) for path in self.folder.iterdir() if path.is_dir()]
        except OSError as error:
            self._log(f"no control groups in {self.folder}, trees are walked instead: {error.strerror}")
            return False
        for group in left:
            if pids := group.kill():
                self._log(f"ended {len(pids)} processes that an earlier warden left in {group.path}")
            self.discard(group)
        for controller in CONTROLLERS:
            self._hand_down(controller)
        return True

    def make(self, id: str, memory_bytes: int | None, processes: int | None) -> Group | None:
        """A group with these limits; None, and a line in the log, when the kernel refuses."""
        self._remains = [group for group in self._remains if not group.remove()]
        self._made += 1
        group = Group(str(self.folder / re.sub(r"[^\w.-]", "_", f"{id}.{self._made}", flags=re.ASCII)))
        try:
            Path(group.path).mkdir()
            group.limit(memory_bytes, processes)
        except OSError as error:
            self._log(f"{id}: no control group, its tree is walked instead: {error.strerror}")
            self.discard(group)
            return None
        return group

    def discard(self, group: Group) -> None:
        """Remove a group, now or when the last of it is gone."""
        if not group.remove():
            self._remains.append(group)

    def close(self) -> None:
        """Remove what is empty."""
        for group in self._remains:
            group.remove()
        with suppress(OSError):
            self.folder.rmdir()

    def _hand_down(self, controller: str) -> None:
        """Have a controller in the executions' groups; the kernel refuses where processes are above them."""
        for folder in (self.folder.parent, self.folder):
            try:
                if controller in _read(folder / "cgroup.subtree_control").split():
                    continue
                if controller not in _read(folder / "cgroup.controllers").split():
                    self._log(f"control groups without {controller} limits: not handed down to {folder}")
                    return
                _write(folder / "cgroup.subtree_control", f"+{controller}")
            except OSError as error:
                self._log(f"control groups without {controller} limits: {folder}: {error.strerror}")
                return


def handed_down(folder: Path) -> tuple[str, ...]:
    """The controllers whose limits groups made in `folder` have; none where it cannot be read."""
    with suppress(OSError):
        given = _read(folder / "cgroup.subtree_control").split()
        return tuple(name for name in CONTROLLERS if name in given)
    return ()


def find_delegated() -> Path | None:
    """The group that this process may divide as it likes: its own, or the one around it; None without one.

    Ours is what systemd has marked as left to us (Delegate=), what a container has as its root, and what
    another manager has given to our user. The unit's processes should be in a group of their own below it
    (DelegateSubgroup=): a group with processes cannot hand down limits.
    """
    try:
        own = _own_path(_read(Path("/proc/self/cgroup")))
        mounts = list(_mounts(_read(Path("/proc/self/mountinfo"))))
    except OSError:
        return None
    for root, mount_point in mounts:
        # Dots lead out of the namespace that we were given.
        if own is not None and ".." not in Path(own).parts and Path(own).is_relative_to(root):
            folder = mount_point / Path(own).relative_to(root)
            # First: systemd gives the subgroup itself to the unit's user too, but there are processes in it.
            if own != root and _is_subgroup(folder):
                return folder.parent
            if _is_ours(folder, is_root=own == "/"):
                return folder
    return None


def _is_ours(folder: Path, *, is_root: bool) -> bool:
    if not _is_writable(folder):
        return False
    if is_root:  # the root of all groups has no such file: only that of a container has
        return (folder / "cgroup.events").exists()
    is_given = os.geteuid() != 0 and folder.stat().st_uid == os.geteuid() and folder.suffix not in _UNITS
    return is_given or _is_marked(folder)


def _is_subgroup(folder: Path) -> bool:
    """True for DelegateSubgroup='s group. A unit in a marked group belongs to another manager: user@."""
    is_unit = folder.suffix in _UNITS
    return not is_unit and _is_marked(folder.parent) and _is_writable(folder.parent)


def _is_writable(folder: Path) -> bool:
    names = ("", "cgroup.procs", "cgroup.subtree_control")
    return all(os.access(folder / name, os.W_OK) for name in names)


def _is_marked(folder: Path) -> bool:
    for name in _MARKS:
        with suppress(OSError):
            if os.getxattr(folder, name) == b"1":
                return True
    return False


def _own_path(text: str) -> str | None:
    lines = [line for line in text.splitlines() if line.startswith("0::")]
    return lines[0].removeprefix("0::") if lines else None


def _mounts(text: str) -> Iterator[tuple[str, Path]]:
    """Root and mount point of each cgroup2 in a mountinfo; proc(5) has the fields."""
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup2 "):
            fields = before.split()
            yield fields[3], Path(fields[4].encode().decode("unicode_escape"))


def _folders(path: Path) -> Iterator[Path]:
    """A group and all below it, the outer ones first."""
    yield path
    for inner in path.iterdir():
        if inner.is_dir():
            yield from _folders(inner)


def _count(path: Path, name: str) -> int:
    with suppress(OSError, ValueError):
        for line in _read(path).splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    return 0


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="surrogateescape")


def _write(path: Path, text: str) -> None:
    # Never made by us: in a folder that is no control group this must fail.
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
