"""Processes that sleep, each known by how long: what hides has no parent and no environment to tell it."""

from __future__ import annotations

import itertools
import os

import psutil

_LENGTHS = itertools.count()


def a_length() -> str:
    """So many seconds as no other sleeper of this machine has, and far more than any test takes.

    A number that is written into a test is written into another one day, and test files run side by side.
    All lengths have ten digits: none is the beginning of another.
    """
    return str(1_000_000_000 + 1_000 * os.getpid() + next(_LENGTHS))


def sleepers(length: str) -> list[psutil.Process]:
    """All that sleep for so long, by ``sleep`` or by Python's."""
    return [process for process in psutil.process_iter() if length in _words(process)]


def _words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except (psutil.Error, OSError):
        return ""
