"""What the figures were taken on: they mean little without it."""

from __future__ import annotations

import os
import platform
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The facts that a figure depends on. Neither the host's name nor a path is among them."""

    cpu: str
    cores: int
    memory_gib: float
    #: Runnable processes over the minute before: far below `cores` where nobody else works.
    load_average: float
    kernel: str
    python: str
    sqlite: str
    #: Type of the file system that the benchmarks write to; on tmpfs a commit costs nothing.
    file_system: str


def describe(folder: Path) -> Machine:
    """This machine, and the file system that holds `folder`."""
    return Machine(
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        load_average=round(os.getloadavg()[0], 2),
        kernel=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        sqlite=sqlite3.sqlite_version,
        file_system=_file_system(folder.resolve()),
    )


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    """The type of the innermost mount above `folder`."""
    mounts = {Path(mount.mountpoint): mount.fstype for mount in psutil.disk_partitions(all=True)}
    return next((mounts[place] for place in (folder, *folder.parents) if place in mounts), "unknown")
