"""A disk that is nearly full."""

from __future__ import annotations

from pathlib import Path

import pytest

from kokino.doctor.disk import Disk, check_disks, look_at_disk, look_at_disks


def disk(used: float, name: str = "/srv") -> Disk:
    """A file system so full."""
    return Disk(path=Path(name), device=1, used=used, free_bytes=5_000_000_000)


def test_a_disk_fails_at_95_percent() -> None:
    """85 % is warned of and 95 % fails; only the full one is named."""
    assert check_disks([disk(0.949)]).passed
    check = check_disks([disk(0.5, "/home"), disk(0.95)])
    assert not check.passed
    assert check.message == (
        "/srv is 95% full, 5.0 GB free; free some space: `du -xh --max-depth=2 /srv | sort -h | tail` shows"
        " what takes it"
    )
    assert check.mend is None


@pytest.mark.parametrize(("used", "passed"), [(0.951, False), (0.94, False), (0.939, True)])
def test_a_disk_that_was_full_is_well_under_94_percent(used: float, passed: bool) -> None:
    """One that hovers about the bound would raise and resolve the alert every few minutes."""
    assert check_disks([disk(used)], was_full=True).passed is passed


def test_a_real_disk_can_be_looked_at(tmp_path: Path) -> None:
    """One that is not there has nothing to say, nor has one without a size, which nobody can fill up."""
    found = look_at_disk(tmp_path)
    assert found is not None
    assert 0 <= found.used <= 1
    assert look_at_disk(tmp_path / "gone") is None
    assert look_at_disk(Path("/proc")) is None


def test_each_file_system_is_told_once(tmp_path: Path) -> None:
    """By the first folder on it, however many agents work there; another one has its own words."""
    (tmp_path / "repo").mkdir()
    assert [found.path for found in look_at_disks([tmp_path, tmp_path / "repo", Path("/dev")])] == [
        tmp_path,
        Path("/dev"),
    ]
