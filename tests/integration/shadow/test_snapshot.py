"""A snapshot is the working directory as it stands, leaves no trace, and tells what was changed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kokino.shadow import files
from kokino.shadow import snapshot as module
from kokino.shadow.files import Bounds, Copier, NotTaken
from kokino.shadow.snapshot import Snapshots

PATIENCE = 60
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}
#: Each would leave a mark, were it run.
HOSTILE = """
git config core.hooksPath .git/hooks
git config core.fsmonitor 'touch marked-by-fsmonitor; true'
git config filter.evil.clean 'touch marked-by-clean; cat'
git config filter.evil.smudge 'touch marked-by-smudge; cat'
git config uploadpack.packObjectsHook 'touch marked-by-pack'
echo '*.txt filter=evil' > .gitattributes
for hook in post-checkout post-index-change reference-transaction; do
  printf '#!/bin/sh\\ntouch marked-by-hook\\n' > .git/hooks/$hook; chmod +x .git/hooks/$hook
done
"""


def shell(folder: Path, command: str) -> str:
    """Run it as an agent's tool would; what it says."""
    ran = subprocess.run(
        ["sh", "-ec", command],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return ran.stdout


def everything_in(folder: Path) -> dict[str, str]:
    """Every file below it, git's own too, by what it holds."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def names_in(folder: Path) -> list[str]:
    """What a folder holds, sorted."""
    return sorted(entry.name for entry in folder.iterdir())


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A repository with everything that can differ from its commit."""
    folder = tmp_path / "project"
    folder.mkdir()
    shell(
        folder,
        "git init -q -b main . && mkdir -p lib .git/hooks && echo one > a.txt && echo two > b.txt"
        " && echo gone > gone.txt && echo x > lib/x.py && echo '*.log' > .gitignore && echo p > run.sh"
        " && chmod +x run.sh && ln -s a.txt link && git add -A && git commit -qm first && git tag v1"
        " && echo staged > a.txt && git add a.txt && echo unstaged > b.txt && rm gone.txt"
        ' && echo new > new.txt && echo noise > noise.log && ln -s "$PWD/lib" absolute',
    )
    return folder


@pytest.fixture
def snapshots(tmp_path: Path) -> Snapshots:
    """Somewhere else."""
    home = tmp_path / "home" / "broker"
    return Snapshots(folder=home / "shadow", environment=ENVIRONMENT, private=home)


async def test_a_snapshot_is_the_working_directory_as_it_stands(work: Path, snapshots: Snapshots) -> None:
    """Commit, index, changes, untracked files, links and rights; what git ignores is left out."""
    taken = await snapshots.take("writer", work / "lib")

    assert (taken.root, taken.cwd, taken.copy.name) == (work, taken.copy / "lib", "project")
    for asked in (
        "git status --short --branch | grep -v absolute",
        "git diff --cached",
        "git diff",
        "git log --format='%H %D' v1",
        "cat a.txt b.txt new.txt lib/x.py link; stat -c %a run.sh",
    ):
        assert shell(taken.copy, asked) == shell(work, asked), asked
    assert not (taken.copy / "noise.log").exists()
    assert str((taken.copy / "absolute").readlink()) == str(taken.copy / "lib")
    assert shell(taken.copy, "git remote") == ""


async def test_a_snapshot_leaves_no_trace(work: Path, snapshots: Snapshots) -> None:
    """Not a byte of the repository changes, nothing that it configures is run, and it knows no worktree."""
    shell(work, HOSTILE)
    before = everything_in(work)

    taken = await snapshots.take("writer", work)
    shell(taken.copy, "echo more > more.txt && git add -A && git commit -qm second && git branch other")
    await snapshots.changed_in_root("writer", work)
    await snapshots.remove("writer")

    assert everything_in(work) == before
    assert shell(work, "git worktree list | wc -l; git branch --list other").split() == ["1"]
    assert not snapshots.folder.exists() or names_in(snapshots.folder) == []


async def test_both_sides_tell_what_was_changed_by_the_same_hashes(work: Path, snapshots: Snapshots) -> None:
    """The same work gives the same changes in either place; a copy's own path reads as the real one."""
    taken = await snapshots.take("writer", work)
    assert await snapshots.changed_in_root("writer", work) == {}
    assert await snapshots.changed_in_copy("writer", work) == {}

    for place in (work, taken.copy):
        shell(
            place,
            "echo new > made.txt && rm b.txt && echo changed > lib/x.py && chmod -x run.sh && touch a.txt"
            " && echo noise > more.log && pwd > where.txt && ln -sf b.txt link"
            " && git add -A && git commit -qm x",
        )
    real = await snapshots.changed_in_root("writer", work)
    shadow = await snapshots.changed_in_copy("writer", work)

    assert real == shadow
    assert real is not None
    assert sorted(real) == ["b.txt", "lib/x.py", "link", "made.txt", "run.sh", "where.txt"]
    assert real["b.txt"] is None
    shell(work, "echo other > made.txt")
    assert await snapshots.changed_in_root("writer", work) != shadow


async def test_a_folder_without_a_repository_is_copied_whole(tmp_path: Path, snapshots: Snapshots) -> None:
    """Its changes are told as a repository's are."""
    folder = tmp_path / "plain"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "a.txt").write_text("one\n")
    taken = await snapshots.take("writer", folder)
    assert (taken.cwd / "deep" / "er" / "a.txt").read_text() == "one\n"
    for place in (folder, taken.copy):
        shell(place, "rm deep/er/a.txt; echo two > b.txt")
    real = await snapshots.changed_in_root("writer", folder)
    assert real == await snapshots.changed_in_copy("writer", folder)
    assert list(real or {}) == ["b.txt", "deep/er/a.txt"]


async def test_a_repository_inside_of_another_is_copied_with_it(work: Path, snapshots: Snapshots) -> None:
    """Its files, without its commits."""
    shell(work, "mkdir inner && cd inner && git init -q . && echo deep > deep.txt")
    taken = await snapshots.take("writer", work)
    assert (taken.copy / "inner" / "deep.txt").read_text() == "deep\n"


async def test_the_brokers_own_data_is_left_out(tmp_path: Path) -> None:
    """Also where its home is the working directory; the next snapshot does not hold the last one."""
    home = tmp_path / "home"
    shell(
        tmp_path, "mkdir -p home/broker/data && cd home && git init -q . && echo x > x && echo y > broker/y"
    )
    shell(home, "git add x && git commit -qm first")
    inside = Snapshots(folder=home / "broker" / "shadow", environment=ENVIRONMENT, private=home / "broker")
    await inside.take("writer", home)
    taken = await inside.take("writer", home)
    assert names_in(taken.copy) == [".git", "x"]


@pytest.mark.parametrize(
    ("bounds", "word"),
    [(Bounds(files=3), "more than 3 files"), (Bounds(megabytes=0), "more than 0 MiB")],
)
@pytest.mark.parametrize("is_repository", [True, False])
async def test_what_is_too_large_is_refused(
    work: Path, snapshots: Snapshots, bounds: Bounds, word: str, *, is_repository: bool
) -> None:
    """With the setting that would let it through; nothing is left of it."""
    if not is_repository:
        shell(work, "rm -r .git")
    snapshots.bounds = bounds
    with pytest.raises(NotTaken, match=word):
        await snapshots.take("writer", work)
    assert names_in(snapshots.folder) == []


async def test_what_takes_too_long_is_given_up(
    work: Path, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller's execution waits for it."""
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    with pytest.raises(NotTaken, match="longer than 0 s"):
        await snapshots.take("writer", work)


class GivenUp(threading.Event):
    """Set once it was asked so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def is_set(self) -> bool:
        self.times -= 1
        return self.times < 0


@pytest.mark.parametrize("name", ["large", "small"])
def test_nobody_reads_on_when_nobody_waits(tmp_path: Path, name: str) -> None:
    """An agent may leave a file that takes hours to be read: the thread would be gone for as long."""
    (tmp_path / "small").write_text("x")
    with (tmp_path / "large").open("wb") as sparse:
        sparse.truncate(1 << 40)
    is_given_up = GivenUp({"large": 3, "small": 0}[name])
    with pytest.raises(NotTaken, match="too long"):
        files.changed(tmp_path, [name], {}, is_given_up)
    copier = Copier(tmp_path, tmp_path / "copy", Bounds(megabytes=1 << 21), GivenUp(3))
    (tmp_path / "copy").mkdir()
    with pytest.raises(NotTaken, match="too long"):
        copier.copy(["small", "large"])


async def test_what_takes_too_long_to_look_at_is_not_told(
    work: Path, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files are not compared then, and no thread goes on with it: the end of the loop waits for each."""
    await snapshots.take("writer", work)
    with (work / "large").open("wb") as sparse:
        sparse.truncate(1 << 40)
    monkeypatch.setattr(module, "PATIENCE", 0.5)
    assert await snapshots.changed_in_root("writer", work) is None


async def test_a_broken_repository_is_refused(work: Path, snapshots: Snapshots) -> None:
    """With git's own words."""
    shell(work, "echo nonsense > .git/HEAD")
    with pytest.raises(NotTaken, match="git"):
        await snapshots.take("writer", work)


async def test_a_file_behind_a_link_is_neither_read_nor_written(
    tmp_path: Path, work: Path, snapshots: Snapshots
) -> None:
    """A tracked folder that became a link leads out of the working directory; the copy has the link alone."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.py").write_text("secret\n")
    shell(work, f"rm -r lib && ln -s {outside} lib")
    taken = await snapshots.take("writer", work)
    assert str((taken.copy / "lib").readlink()) == str(outside)
    assert (outside / "x.py").read_text() == "secret\n"


#: Folders in each other: more than can be gone through by recursion under `LIMIT`, and few enough for whoever
#: removes the folders of tests.
DEPTH, LIMIT = 700, 400


@pytest.fixture
def limited() -> Iterator[None]:
    """Recursion ends early."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(LIMIT)
    yield
    sys.setrecursionlimit(usual)


def nest(folder: Path, name: str) -> None:
    """Folders in each other, with a file in the last one."""
    folder.mkdir(parents=True)
    inside = os.open(folder, os.O_RDONLY)
    for _ in range(DEPTH):
        os.mkdir(name, dir_fd=inside)
        outside, inside = inside, os.open(name, os.O_RDONLY, dir_fd=inside)
        os.close(outside)
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=inside))
    os.close(inside)


@pytest.mark.usefixtures("limited")
@pytest.mark.parametrize("name", ["d", "d" * 100])
async def test_folders_that_lie_too_deep_are_removed_like_others(snapshots: Snapshots, name: str) -> None:
    """As a program leaves them that copies a folder into itself: else there were never a snapshot again."""
    nest(snapshots.folder / "writer" / "tree", name)
    (snapshots.folder / "writer" / "link").symlink_to(snapshots.folder)
    closed = snapshots.folder / "writer" / "closed" / "inner"
    closed.mkdir(parents=True)
    (closed / "file").touch()
    closed.chmod(0)
    closed.parent.chmod(0)
    await snapshots.remove("writer")
    assert names_in(snapshots.folder) == []


@pytest.mark.usefixtures("limited")
async def test_folders_that_lie_deep_are_copied_and_looked_at(tmp_path: Path, snapshots: Snapshots) -> None:
    """As deep as a path can lead."""
    nest(tmp_path / "w", "d")
    taken = await snapshots.take("writer", tmp_path / "w")
    deep = Path(*["d"] * DEPTH, "file")
    assert (taken.copy / deep).exists()
    (tmp_path / "w" / deep).write_text("x")
    assert list(await snapshots.changed_in_root("writer", tmp_path / "w") or {}) == [str(deep)]
    await snapshots.remove("writer")
    assert names_in(snapshots.folder) == []


async def test_it_is_known_whose_snapshots_there_are(work: Path, snapshots: Snapshots) -> None:
    """Also those that a broker left that died."""
    assert await snapshots.known() == []
    for agent in ("writer", "editor"):
        await snapshots.take(agent, work)
    await snapshots.remove("writer")
    await snapshots.remove("writer")
    assert await snapshots.known() == ["editor"]
