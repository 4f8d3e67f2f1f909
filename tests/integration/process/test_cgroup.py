"""Control groups: real ones where the tests run as root, and what happens where there are none."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from kokino.process import cgroup, tree
from kokino.process.cgroup import Group, Groups
from kokino.process.client import Warden
from kokino.process.model import Breach, read_exit_file
from kokino.process.watching import gone
from tests.integration.process.box import DAEMON, Box, at_once, ended, is_alive, pids_in, until
from tests.integration.process.groups import Root

MIB = 1024 * 1024


async def attach(box: Box, root: Root) -> Warden:
    """A warden that may use it."""
    warden = await Warden.attach(box.folder / "run", cgroup=root.path)
    box.connections.append(warden)
    return warden


async def test_an_execution_runs_in_a_group_of_its_own(box: Box, root: Root) -> None:
    """All of its processes, not its keeper; the group goes when the tree is empty."""
    warden = await attach(box, root)
    script = "import os, time; os.fork(); print('up', flush=True); time.sleep(60)"
    launch = replace(box.launch("e", script), id="e/1")
    started = await box.start(warden, launch)
    await until(lambda: launch.stdout.read_text().count("up") == 2)

    groups = root.groups()
    if root.is_real:
        (group,) = groups
        assert group.name == "e_1.1"
        inside = set(map(int, (group / "cgroup.procs").read_text().split()))
        assert inside == {stat.pid for stat in tree.below(started.keeper_pid)}

    await warden.stop(launch.id, grace=timedelta(0))
    outcome = await ended(warden, launch.id)
    assert (outcome.signal, outcome.leftovers, outcome.breach) == (signal.SIGKILL, 0, None)
    assert root.groups() == []


async def test_a_daemon_is_killed_with_its_group(box: Box, root: Root) -> None:
    """What hides in a session of its own counts as left over, as without groups."""
    warden = await attach(box, root)
    launch = at_once(box.launch("e", DAEMON.replace("LAST", "pass")))

    outcome = await box.run(warden, launch)

    (daemon,) = pids_in(launch.stdout.read_text())
    assert not is_alive(daemon)
    assert outcome.leftovers == 1
    assert root.groups() == []


async def test_a_group_that_the_cli_divided_is_removed_whole(box: Box, root: Root) -> None:
    """It may have made groups below its own."""
    warden = await attach(box, root)
    script = """
        import os, sys, time
        if os.path.exists(sys.argv[1]):
            (own,) = [line[3:].strip() for line in open("/proc/self/cgroup") if line.startswith("0::")]
            group = os.path.join(sys.argv[1], own.rsplit("/", 1)[1], "inner")
            os.mkdir(group)
            open(os.path.join(group, "cgroup.procs"), "w").write("0")
        print("up", flush=True)
        time.sleep(60)
    """
    launch = box.launch("e", script, str(next(root.path.glob("kokino-*"), box.folder / "none")))
    await box.start(warden, launch)
    await box.says(launch, "up")

    await warden.stop("e", grace=timedelta(0))

    assert (await ended(warden, "e")).signal == signal.SIGKILL
    assert root.groups() == []


async def test_an_execution_in_a_group_has_its_limits_without_controllers(box: Box, root: Root) -> None:
    """Where the kernel keeps no count, the warden does."""
    warden = await attach(box, root)
    script = "import os, time\nfor _ in range(30): os.fork() or time.sleep(60)\ntime.sleep(60)"
    launch = replace(box.launch("e", script), processes=20, memory_bytes=4000 * MIB)

    outcome = await box.run(warden, launch)

    assert outcome.breach is Breach.PROCESSES
    assert read_exit_file(launch.exit_file) == outcome
    assert root.groups() == []


async def test_when_its_keeper_is_killed_the_warden_removes_the_group(box: Box, root: Root) -> None:
    """And ends what is in it."""
    warden = await attach(box, root)
    launch = box.launch("e", DAEMON.replace("LAST", "time.sleep(60)"))
    started = await box.start(warden, launch)
    await until(lambda: launch.stdout.exists() and bool(pids_in(launch.stdout.read_text())))

    os.kill(started.keeper_pid, signal.SIGKILL)

    assert (await ended(warden, "e")).leftovers == 1
    await warden.close()
    assert list(root.path.glob("kokino-*")) == []


async def test_what_escaped_warden_and_keeper_is_ended_by_the_next_warden(box: Box, root: Root) -> None:
    """Without groups it would belong to nobody any more; with them it is still known whose it was."""
    warden = await attach(box, root)
    launch = box.launch("e", DAEMON.replace("LAST", "time.sleep(60)"))
    started = await box.start(warden, launch)
    await until(lambda: launch.stdout.exists() and bool(pids_in(launch.stdout.read_text())))
    (daemon,) = pids_in(launch.stdout.read_text())
    os.kill(warden.pid, signal.SIGSTOP)
    warden._is_leaving = True  # a dead broker does not look for another warden
    os.kill(started.keeper_pid, signal.SIGKILL)
    os.kill(warden.pid, signal.SIGKILL)
    await gone(warden.pid)
    assert is_alive(daemon)

    await attach(box, root)

    if root.is_real:
        await until(lambda: not is_alive(daemon))
        assert "ended 1 processes that an earlier warden left" in box.log()
    with suppress(ProcessLookupError):
        os.kill(daemon, signal.SIGKILL)


async def test_a_root_that_is_no_control_group_is_said_and_done_without(box: Box) -> None:
    """The log tells why; the execution does not suffer."""
    nowhere = Root(box.folder / "nowhere", is_real=False)
    warden = await attach(box, nowhere)

    assert (await box.run(warden, box.launch("e", "raise SystemExit(3)"))).code == 3

    assert f"no control groups in {nowhere.path}" in box.log()
    assert warden.cgroup is None


async def test_a_group_that_cannot_be_entered_is_said_and_done_without(box: Box, root: Root) -> None:
    """The tree is below its keeper all the same. A plain folder stands in: it has no cgroup.procs."""
    plain = Root(box.folder / "plain", is_real=False)
    plain.path.mkdir()
    warden = await attach(box, plain)

    await box.start(warden, box.launch("e", "import time; time.sleep(60)"))
    await warden.stop("e", grace=timedelta(0))

    assert (await ended(warden, "e")).signal == signal.SIGKILL
    assert "could not be entered: No such file or directory" in box.log()


async def test_a_successor_goes_on_with_the_groups_of_its_predecessor(box: Box, root: Root) -> None:
    """A restart of the broker ends nothing: the warden knows its own groups."""
    warden = await attach(box, root)
    launch = box.launch("e", "import time; print('up', flush=True); time.sleep(60)")
    started = await box.start(warden, launch)
    await box.says(launch, "up")
    before = root.groups()
    await warden.release()

    successor = await attach(box, root)

    assert root.groups() == before
    assert is_alive(started.pid)
    await successor.stop("e", grace=timedelta(0))
    await ended(successor, "e")
    assert root.groups() == []


@pytest.fixture
def controller(root: Root, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Any that the machine can hand down to the root; "none" where there is not one."""
    monkeypatch.setattr(cgroup, "CONTROLLERS", ("none",))
    if root.is_real:
        control = root.path.parent / "cgroup.subtree_control"
        free = (root.path.parent / "cgroup.controllers").read_text().split()
        for name in {"memory", "io", "hugetlb"} & set(free):
            is_new = name not in control.read_text().split()
            control.write_text(f"+{name}")
            monkeypatch.setattr(cgroup, "CONTROLLERS", (name,))
            yield name
            Group(str(root.path)).kill()
            while not Group(str(root.path)).remove():
                pass
            if is_new:
                control.write_text(f"-{name}")
            root.path.mkdir()
            return
    yield "none"


def test_controllers_are_handed_down_to_the_executions_groups(root: Root, controller: str) -> None:
    """Their files are the limits; where there are none, the log says so and groups are made all the same."""
    said: list[str] = []
    groups = Groups(root.path, "kokino-x", said.append)

    assert groups.open()

    group = groups.make("e", None, None)
    assert group is not None
    files = [path.name for path in Path(group.path).glob(f"{controller}.*")]
    assert bool(files) is (controller != "none")
    assert bool(said) is (controller == "none")
    groups.discard(group)
    groups.close()
    assert not (root.path / "kokino-x").exists()


def test_a_root_with_processes_in_it_hands_no_limits_down(root: Root, controller: str) -> None:
    """The kernel refuses; the groups are worth having all the same."""
    said: list[str] = []
    sleeper = subprocess.Popen(["/bin/sleep", "60"])
    if root.is_real:
        (root.path / "cgroup.procs").write_text(str(sleeper.pid))
    try:
        assert Groups(root.path, "kokino-x", said.append).open()
    finally:
        sleeper.kill()
        sleeper.wait()

    assert len(said) == 1
    assert f"control groups without {controller} limits" in said[0]
    assert ("Device or resource busy" in said[0]) is (controller != "none")
