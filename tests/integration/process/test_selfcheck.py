"""What the machine promises, tried for real; and machines that do not keep their word."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent

import pytest

from kokino.process import promises
from kokino.process.linux import LONGEST_SOCKET_PATH
from kokino.process.selfcheck import SelfCheck, check
from tests.integration.process.groups import Root

NAMES = [
    "subreaper",
    "pidfd",
    "parent-death signal",
    "proportional memory",
    "socket",
    "hole punching",
    "priority",
    "cgroup v2",
]


def messages(found: SelfCheck) -> dict[str, str]:
    """Of the checks that failed."""
    return {each.name: each.message for each in found.checks if not each.passed}


def test_a_machine_that_runs_these_tests_keeps_all_that_is_needed(tmp_path: Path) -> None:
    """Each check has a name and says what was seen; nothing is left behind."""
    found = check(tmp_path, spool=tmp_path)

    assert [each.name for each in found.checks] == NAMES
    assert found.passed, messages(found)
    assert all(each.message for each in found.checks)
    assert list(tmp_path.iterdir()) == []


def test_it_may_be_called_from_many_threads_at_once(tmp_path: Path) -> None:
    """The broker answers several requests at a time."""
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _number: check(tmp_path), range(4)))

    assert [each.passed for each in found] == [True] * 4


def test_folders_that_are_not_there_yet_are_tried_where_they_will_be_made(tmp_path: Path) -> None:
    """A check comes before the first start too."""
    assert check(tmp_path / "run" / "x", spool=tmp_path / "spool").passed


def test_a_socket_path_that_is_too_long_is_told(tmp_path: Path) -> None:
    """With its length and what to do."""
    found = check(tmp_path / ("x" * LONGEST_SOCKET_PATH))

    assert not found.passed
    assert "107 at most; configure a shorter runtime directory" in messages(found)["socket"]


def test_a_folder_that_nobody_may_write_to_is_a_failed_check(tmp_path: Path) -> None:
    """The reason is the system's own; only the space of output suffers, so supervision is whole."""
    found = check(tmp_path, spool=Path("/proc/spool"))

    assert found.passed
    assert "the system refuses" in messages(found)["hole punching"]


@pytest.mark.parametrize(
    ("change", "promise", "message"),
    [
        ("linux.become_subreaper = lambda: None", "_subreaper", "executions could escape"),
        ("linux.die_with = lambda parent: None", "_parent_death", "would outlive a keeper"),
        ("linux.run_first = lambda: None", "_priority", "wait for their turn"),
        ("spoolfile._fallocate = None", "lambda: _hole(Path('.'))", "knows no holes"),
    ],
)
def test_a_promise_that_is_not_kept_is_told_with_what_follows(
    tmp_path: Path, change: str, promise: str, message: str
) -> None:
    """The kernel is asked for real, without having been told what we want of it."""
    program = f"""
        import json
        from pathlib import Path
        from kokino.process import linux, promises, spoolfile
        promises.PATIENCE = 0.3
        {change}
        linux.become_subreaper()
        promise = eval({promise!r}, vars(promises))
        print(json.dumps(promises._try("it", promise)))
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(program)], cwd=tmp_path, capture_output=True, check=True, timeout=60
    )

    said = json.loads(done.stdout)
    assert said["passed"] is False
    assert message in said["message"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("raise SystemExit('no luck today')", "no luck today"),
        ("print('nonsense')", "Expecting value"),
        ("print('{}')", "checks"),
    ],
)
def test_a_check_that_cannot_be_made_is_a_failed_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    """Whoever asks gets an answer, never an exception."""
    (tmp_path / "program.py").write_text(script)
    monkeypatch.setattr(promises, "__file__", str(tmp_path / "program.py"))

    found = check(tmp_path)

    assert not found.passed
    assert reason in messages(found)["self-check"]


def test_without_an_interpreter_there_is_an_answer_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been taken away by an upgrade while the broker runs."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    assert "No such file" in messages(check(tmp_path))["self-check"]


def tier_in(root: Root, tmp_path: Path, *, may_use_cgroup: bool) -> tuple[str, str]:
    """The tier and what is said about groups, for a broker that runs in `root`."""
    program = """
        import os, sys
        from pathlib import Path
        from kokino.process.selfcheck import check
        if os.path.exists(sys.argv[1]):
            Path(sys.argv[1]).write_text("0")
        found = check(Path(sys.argv[2]), may_use_cgroup=sys.argv[3] == "True")
        print(found.tier, found.checks[-1].message, sep="\\n")
    """
    arguments = [str(root.path / "cgroup.procs"), str(tmp_path), str(may_use_cgroup)]
    done = subprocess.run(
        [sys.executable, "-c", dedent(program), *arguments],
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    tier, message = done.stdout.splitlines()
    return tier, message


def test_a_group_that_was_delegated_is_the_tier(root: Root, tmp_path: Path) -> None:
    """It is tried: made, entered, killed, removed."""
    if root.is_real:
        os.setxattr(root.path, "user.delegate", b"1")

    tier, message = tier_in(root, tmp_path, may_use_cgroup=True)

    if root.is_real:
        assert (tier, message.partition("; ")[2]) == ("cgroup", "no limits are handed down so far")
    else:
        assert tier in {promises.CGROUP, promises.TREE_WALK}
    assert [path for path in root.path.iterdir() if path.is_dir()] == []


def test_a_group_that_was_not_delegated_is_left_alone(root: Root, tmp_path: Path) -> None:
    """That root may write to it does not make it ours."""
    told = tier_in(root, tmp_path, may_use_cgroup=True)

    # Without a group to put it into, the broker stays in the tests' own, which may be a delegated one.
    assert not root.is_real or told == (
        "tree walk",
        "none is delegated to this process; trees are walked",
    )


def test_groups_that_are_switched_off_are_not_tried(root: Root, tmp_path: Path) -> None:
    """A setting that says no means no."""
    if root.is_real:
        os.setxattr(root.path, "user.delegate", b"1")

    assert tier_in(root, tmp_path, may_use_cgroup=False) == ("tree walk", "switched off; trees are walked")
