"""The guard over the tests' own processes."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil

from tests.fixtures.leftovers import Leftovers

#: Prints the pid of a grandchild in a session of its own, and leaves it to init.
DOUBLE_FORK = (
    "import subprocess as s; print(s.Popen(['sleep', '600'], start_new_session=True, stdout=s.DEVNULL).pid)"
)


def test_a_process_that_left_its_family_is_found_named_and_ended() -> None:
    """A double-forked process is told with its command and its test, and is gone afterwards."""
    with Leftovers.watch() as leftovers:
        pid = int(subprocess.check_output([sys.executable, "-c", DOUBLE_FORK]))
    [line] = leftovers.end(grace=0)
    assert f"{pid}: sleep 600, started by {os.environ['PYTEST_CURRENT_TEST']}" in line
    assert not psutil.pid_exists(pid)


def test_a_child_with_a_wiped_environment_is_found() -> None:
    """Descent tells what no mark tells."""
    with Leftovers.watch() as leftovers:
        child = subprocess.Popen(["/bin/sleep", "600"], env={})
    [line] = leftovers.end(grace=0)
    assert f"{child.pid}: /bin/sleep 600" in line
    child.wait()


def test_what_ran_before_is_nobodys_leftover() -> None:
    """Processes that were there before the watch began are left alone."""
    with subprocess.Popen(["/bin/sleep", "600"]) as earlier:
        with Leftovers.watch() as leftovers:
            pass
        assert leftovers.end(grace=0) == []
        assert earlier.poll() is None
        earlier.kill()
