"""Is there room for what the CLIs and we write?"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kokino.doctor.model import Check

#: Fullness of a file system that is warned of, and that fails.
WARNS_AT = 0.85
FAILS_AT = 0.95
#: Under this one that has failed is well again: between the two nothing is raised and resolved by turns.
WELL_UNDER = 0.94


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """How full a file system is."""

    path: Path
    #: The kernel's number of the file system: the same for all paths on it.
    device: int
    #: 0 to 1.
    used: float
    free_bytes: int


def check_disks(disks: Sequence[Disk], *, was_full: bool = False) -> Check:
    """Fails where one of them is as good as full; `was_full` where one was at the last look."""
    full = [disk for disk in disks if disk.used >= (WELL_UNDER if was_full else FAILS_AT)]
    if full:
        look = f"du -xh --max-depth=2 {shlex.quote(str(full[0].path))} | sort -h | tail"
        return Check(
            name="disk",
            passed=False,
            message="; ".join(map(_text, full)) + f"; free some space: `{look}` shows what takes it",
        )
    return Check(
        name="disk",
        passed=True,
        message="; ".join(map(_text, disks)) or "nothing to look at",
        warnings=tuple(_text(disk) for disk in disks if disk.used >= WARNS_AT),
    )


def look_at_disks(paths: Iterable[Path]) -> list[Disk]:
    """Each file system that these paths are on, once, by the first of its paths."""
    looked = [disk for path in dict.fromkeys(paths) if (disk := look_at_disk(path)) is not None]
    first = {disk.device: disk for disk in reversed(looked)}
    return [disk for disk in looked if first[disk.device] is disk]


def look_at_disk(path: Path) -> Disk | None:
    """How full the file system at `path` is; None where there is none, or none that can fill up."""
    try:
        usage, device = shutil.disk_usage(path), path.stat().st_dev
    except OSError:
        return None
    # What root keeps for itself is neither used nor free for us: count as df does.
    seen = usage.used + usage.free
    if not seen:
        return None  # one without a size, as /proc: there is nothing to fill up
    return Disk(path=path, device=device, used=usage.used / seen, free_bytes=usage.free)


def _text(disk: Disk) -> str:
    return f"{disk.path} is {disk.used:.0%} full, {disk.free_bytes / 1e9:.1f} GB free"
