"""The files of a control group, in a plain folder: no memory limit can be handed down where tests run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kokino.process import cgroup
from kokino.process.cgroup import TASKS_EACH, Group, find_delegated, handed_down

LIMITS = ("memory.max", "memory.swap.max", "memory.oom.group", "pids.max")
DELEGABLE = ("cgroup.procs", "cgroup.subtree_control", "cgroup.events")


def made(folder: Path, *names: str) -> Path:
    """A folder with these files, empty."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def test_limits_are_written_as_the_kernel_reads_them(tmp_path: Path) -> None:
    """All of the tree goes when its memory is out, swap is no way around, and threads are allowed for."""
    Group(str(made(tmp_path, *LIMITS))).limit(5000, 10)

    assert [(tmp_path / name).read_text() for name in LIMITS] == ["5000", "0", "1", str(10 * TASKS_EACH)]


def test_a_kernel_without_swap_or_group_kill_is_no_fault(tmp_path: Path) -> None:
    """What is there is written."""
    Group(str(made(tmp_path, "memory.max"))).limit(5000, 10)

    assert (tmp_path / "memory.max").read_text() == "5000"
    assert [path.name for path in tmp_path.iterdir()] == ["memory.max"]


def test_an_execution_without_limits_writes_none(tmp_path: Path) -> None:
    """None is no limit."""
    Group(str(made(tmp_path, *LIMITS))).limit(None, None)

    assert [(tmp_path / name).read_text() for name in LIMITS] == [""] * 4


@pytest.mark.parametrize(
    ("why", "events", "breach"),
    [
        ("no controllers", {}, None),
        (
            "nothing happened",
            {"memory.events": "low 0\nmax 7\noom 0\noom_kill 0\n", "pids.events": "max 0\n"},
            None,
        ),
        ("memory was out", {"memory.events": "low 0\nmax 7\noom 1\noom_kill 3\n"}, "memory"),
        ("a fork was refused", {"memory.events": "oom_kill 0\n", "pids.events": "max 2\n"}, "processes"),
        ("a later kernel says more", {"pids.events": "max.imposed 1\nmax 0\n"}, None),
        ("no number", {"memory.events": "oom_kill many\n"}, None),
    ],
)
def test_what_the_kernel_had_to_enforce(
    tmp_path: Path, why: str, events: dict[str, str], breach: str | None
) -> None:
    """Reclaiming memory at the limit is no breach; killing for it is."""
    for name, text in events.items():
        (tmp_path / name).write_text(text)

    assert Group(str(tmp_path)).breach() == breach, why


@pytest.fixture
def delegated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Groups that anybody may write to, and the marks that the test gives them."""
    made(tmp_path / "a b.slice" / "kokino.service" / "broker", *DELEGABLE)
    made(tmp_path / "a b.slice" / "kokino.service", *DELEGABLE)
    made(tmp_path / "a b.slice" / "user@1000.service", *DELEGABLE)
    made(tmp_path / "a b.slice" / "user@1000.service" / "x.service", *DELEGABLE)
    made(tmp_path, *DELEGABLE)
    return tmp_path


@pytest.mark.parametrize(
    ("why", "own", "marked", "found"),
    [
        ("a unit with Delegate=", "/a b.slice/kokino.service", "kokino.service", "a b.slice/kokino.service"),
        (
            "with DelegateSubgroup=",
            "/a b.slice/kokino.service/broker",
            "kokino.service",
            "a b.slice/kokino.service",
        ),
        (
            "a unit of a user's manager, to which its own group was left",
            "/a b.slice/user@1000.service/x.service",
            "user@1000.service",
            None,
        ),
        ("a unit that is systemd's own", "/a b.slice/kokino.service", "", None),
        ("the root of a container", "/", "", "."),
        ("a place outside of the container", "/../other", "other", None),
        ("a group that is gone", "/gone", "gone", None),
        ("only version 1", None, "", None),
    ],
)
def test_what_has_been_left_to_us(  # noqa: PLR0917 - pytest passes them by name
    delegated: Path,
    monkeypatch: pytest.MonkeyPatch,
    why: str,
    own: str | None,
    marked: str,
    found: str | None,
) -> None:
    """That the files may be written to is not enough: another manager may rely on its groups."""
    mount = str(delegated).replace(" ", "\\040")
    texts = {
        "/proc/self/cgroup": "4:memory:/x\n" + ("" if own is None else f"0::{own}\n"),
        "/proc/self/mountinfo": f"40 31 0:38 / /proc rw - proc proc rw\n"
        f"41 31 0:39 / {mount} rw - cgroup2 cgroup2 rw\n",
    }
    monkeypatch.setattr(cgroup, "_read", lambda path: texts[str(path)])
    monkeypatch.setattr(cgroup, "_is_marked", lambda folder: folder.name == marked)

    assert find_delegated() == (None if found is None else delegated / found), why


def test_a_subgroup_that_belongs_to_our_user_is_not_divided(
    delegated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd gives the user that one too, but the broker is in it and keeps limits from going down."""
    own = "/a b.slice/kokino.service/broker"
    if os.geteuid() == 0:
        os.chown(delegated / own.lstrip("/"), 1000, 1000)
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
    mount = str(delegated).replace(" ", "\\040")
    texts = {
        "/proc/self/cgroup": f"0::{own}\n",
        "/proc/self/mountinfo": f"41 31 0:39 / {mount} rw - cgroup2 cgroup2 rw\n",
    }
    monkeypatch.setattr(cgroup, "_read", lambda path: texts[str(path)])
    monkeypatch.setattr(cgroup, "_is_marked", lambda folder: folder.name == "kokino.service")

    assert find_delegated() == delegated / "a b.slice" / "kokino.service"


def test_limits_that_are_handed_down_are_told(tmp_path: Path) -> None:
    """Those that we know of; none where there is no control group."""
    (made(tmp_path) / "cgroup.subtree_control").write_text("cpu memory pids\n")

    assert handed_down(tmp_path) == ("memory", "pids")
    assert handed_down(tmp_path / "gone") == ()


def test_the_root_of_all_groups_is_nobodys(delegated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It alone has no events; what is in it is the whole machine."""
    (delegated / "cgroup.events").unlink()
    texts = {
        "/proc/self/cgroup": "0::/\n",
        "/proc/self/mountinfo": f"41 31 0:39 / {delegated} rw - cgroup2 cgroup2 rw\n",
    }
    monkeypatch.setattr(cgroup, "_read", lambda path: texts[str(path)])

    assert find_delegated() is None
