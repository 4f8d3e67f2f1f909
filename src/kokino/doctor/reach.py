"""Whether something is not there, or only out of our reach."""

from __future__ import annotations

import os
from pathlib import Path


def is_missing(path: str | Path) -> bool:
    """True where nothing is at `path`; False where a folder above it may not be entered, so nobody knows."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False
