"""Fails unless a wheel holds every file that git tracks under src/kokino, and nothing else of ours.

A page, rule or migration that is read at run time and missing from the wheel works in the source tree alone.
"""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def tracked() -> set[str]:
    """Files of the package as git knows them, the way a wheel names them."""
    listed = subprocess.check_output(["git", "ls-files", "src/kokino"], cwd=ROOT, text=True)
    return {name.removeprefix("src/") for name in listed.splitlines()}


def packed(wheel: Path) -> set[str]:
    """Files of the wheel but its own metadata."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def main(wheel: Path) -> int:
    """Compare and say each difference."""
    expected, found = tracked(), packed(wheel)
    for name in sorted(expected - found):
        print(f"{wheel.name}: lacks {name}", file=sys.stderr)
    for name in sorted(found - expected):
        print(f"{wheel.name}: holds {name}, which is not under version control", file=sys.stderr)
    return int(expected != found)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
