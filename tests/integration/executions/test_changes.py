"""What an execution changed in a git repository, looked at from outside by the real git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kokino.executions.changes import git as module
from kokino.executions.changes.git import GitFailed, TooMuch
from kokino.executions.changes.repository import Repository

PATIENCE = 60
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_AUTHOR_NAME": "ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}


def git(folder: Path, *arguments: str) -> str:
    """What a user's own git says there."""
    run = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return run.stdout


def said_by_shell(command: str) -> bytes:
    """What a person sees who types it somewhere else."""
    run = subprocess.run(
        ["sh", "-c", command], cwd="/", env=ENVIRONMENT, capture_output=True, timeout=PATIENCE, check=True
    )
    return run.stdout


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A repository with a commit, a change that is not committed, an untracked file and an ignored one."""
    folder = tmp_path / "work"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "kept").write_text("one\n")
    (folder / "gone").write_text("x\n")
    (folder / ".gitignore").write_text("*.log\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    (folder / "kept").write_text("one\nmine\n")
    (folder / "draft").write_text("mine too\n")
    (folder / "big.log").write_text("ignored\n")
    return folder


def repository(work: Path) -> Repository:
    """That repository, with a folder of ours beside it."""
    ours = work.parent / "ours"
    return Repository(work, ours / "exec-1", ENVIRONMENT, ours)


def act(work: Path) -> None:
    """What an agent may do."""
    (work / "kept").write_text("one\nmine\nits own\n")
    (work / "gone").unlink()
    (work / "new file").write_text("a\nb\n")
    (work / "picture").write_bytes(b"\x00\x01\xff")
    (work / "big.log").write_text("more\n")


async def test_only_what_the_execution_changed_is_told(work: Path) -> None:
    """Not what somebody had changed before; with counts, and with what git does not track."""
    looked = repository(work)
    before = await looked.before()
    assert before is not None
    act(work)
    found = await looked.since(before)
    assert [
        (file["path"], file["change"], file["insertions"], file["deletions"]) for file in found["files"]
    ] == [
        ("gone", "deleted", 0, 1),
        ("kept", "modified", 1, 0),
        ("new file", "added", 2, 0),
        ("picture", "added", None, None),
    ]
    assert (found["filesChanged"], found["insertions"], found["deletions"]) == (4, 3, 1)
    assert found["untracked"] == ["draft", "new file", "picture"]
    assert found["commitBefore"] == found["commitAfter"] == git(work, "rev-parse", "HEAD").strip()


async def test_the_repository_itself_is_left_as_it_was(work: Path) -> None:
    """No object, no ref, no change of the index: looking is not touching."""
    objects = sorted((work / ".git").rglob("*"))
    index, status = (work / ".git" / "index").read_bytes(), git(work, "status", "--porcelain")
    looked = repository(work)
    before = await looked.before()
    assert before is not None
    await looked.since(before)
    assert sorted((work / ".git").rglob("*")) == objects
    assert (work / ".git" / "index").read_bytes() == index
    assert git(work, "status", "--porcelain") == status


async def test_the_patch_undoes_what_was_done(work: Path) -> None:
    """Also of files that were never committed, and of what is no text."""
    looked = repository(work)
    before = await looked.before()
    assert before is not None
    act(work)
    found = await looked.since(before)
    (work.parent / "undo").write_bytes(await looked.patch(found, reverse=True))
    git(work, "apply", str(work.parent / "undo"))
    assert (work / "kept").read_text() == "one\nmine\n"
    assert (work / "gone").read_text() == "x\n"
    assert not (work / "new file").exists()
    assert not (work / "picture").exists()
    assert (work / "draft").read_text() == "mine too\n"
    (work.parent / "redo").write_bytes(await looked.patch(found, reverse=False))
    git(work, "apply", str(work.parent / "redo"))
    assert (work / "picture").read_bytes() == b"\x00\x01\xff"


async def test_commits_of_an_agent_are_told_as_changes_all_the_same(work: Path) -> None:
    """Whether it commits or not is the agent's habit; what it did is the same."""
    looked = repository(work)
    before = await looked.before()
    assert before is not None
    act(work)
    git(work, "add", ".")
    git(work, "commit", "-qm", "its own")
    found = await looked.since(before)
    assert found["filesChanged"] == 4
    assert found["untracked"] == []
    assert found["commitAfter"] != found["commitBefore"]


async def test_an_execution_that_changed_nothing_leaves_nothing_of_ours(work: Path) -> None:
    """Only what tells something is kept."""
    looked = repository(work)
    before = await looked.before()
    assert before is not None
    found = await looked.since(before)
    assert (found["filesChanged"], found["files"]) == (0, [])
    assert not looked.folder.exists()


async def test_a_repository_without_a_commit_is_one_too(tmp_path: Path) -> None:
    """Agents are asked to begin projects; and what the broker keeps inside of it is nobody's work."""
    git(tmp_path, "init", "-q")
    looked = repository(tmp_path / "sub")
    (tmp_path / "sub").mkdir()
    before = await looked.before()
    assert before is not None
    assert before["commitBefore"] is None
    (tmp_path / "sub" / "first").write_text("x\n")
    assert [file["path"] for file in (await looked.since(before))["files"]] == ["sub/first"]


async def test_what_is_ours_may_be_ignored_by_git(tmp_path: Path) -> None:
    """As in a repository that is a broker's home and says so in its .gitignore."""
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("ours/\n")
    looked = repository(tmp_path / "sub")
    (tmp_path / "sub").mkdir()
    before = await looked.before()
    assert before is not None
    (tmp_path / "sub" / "first").write_text("x\n")
    assert [file["path"] for file in (await looked.since(before))["files"]] == ["sub/first"]


async def test_a_folder_that_is_no_repository_is_not_looked_at(tmp_path: Path) -> None:
    """And git is not even started: an environment without one does not matter."""
    assert await Repository(tmp_path, tmp_path / "ours", {}, tmp_path / "ours").before() is None


async def test_hooks_and_monitors_of_the_repository_are_not_run(work: Path) -> None:
    """An agent writes the repository's configuration: what it names must not run in the broker's name."""
    ran = work.parent / "ran"
    git(work, "config", "core.fsmonitor", f"touch {ran}")
    looked = repository(work)
    before = await looked.before()
    assert before is not None
    await looked.since(before)
    assert not ran.exists()


async def test_filters_and_differs_of_the_repository_are_not_run(work: Path) -> None:
    """Nor what it names for files of some kind: only what the user has set up for all repositories is."""
    ran, name = work.parent / "ran", 'odd = "name"'
    for key in ("clean", "smudge", "process"):
        git(work, "config", f"filter.{name}.{key}", f"touch {ran}; cat")
        git(work, "config", f"filter.plain.{key}", f"touch {ran}; cat")
    git(work, "config", "filter.plain.required", "true")
    git(work, "config", "diff.plain.command", f"touch {ran}")
    git(work, "config", "diff.plain.textconv", f"touch {ran}; cat")
    (work / ".gitattributes").write_text("* filter=plain diff=plain\n")
    looked = repository(work)
    before = await looked.before()
    assert before is not None
    act(work)
    found = await looked.since(before)
    assert "error" not in found
    assert b"its own" in await looked.patch(found, reverse=False)
    assert not ran.exists()


async def test_filters_of_the_user_are_run(work: Path) -> None:
    """As git-lfs, which would otherwise show a pointer that became a whole film."""
    home = work.parent / "home"
    home.mkdir()
    (home / ".gitconfig").write_text('[filter "film"]\n\tclean = "tr a-z A-Z"\n')
    (work / ".gitattributes").write_text("*.film filter=film\n")
    ours = work.parent / "ours"
    looked = Repository(work, ours / "exec-1", {**ENVIRONMENT, "HOME": str(home)}, ours)
    before = await looked.before()
    assert before is not None
    (work / "a.film").write_text("long\n")
    found = await looked.since(before)
    assert b"+LONG" in await looked.patch(found, reverse=False)


async def test_what_an_agent_made_of_its_repository_is_told(work: Path) -> None:
    """An index that is no file ends no execution: there is a reason in the place of the changes."""
    looked = repository(work)
    before = await looked.before()
    assert before is not None
    (work / ".git" / "index").unlink()
    (work / ".git" / "index").mkdir()
    assert "the repository cannot be read" in (await looked.since(before))["error"]
    assert await looked.before() is None


async def test_a_look_that_takes_too_long_is_given_up(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The execution goes on without it, and no git is left behind."""
    looked = repository(work)
    before = await looked.before()
    assert before is not None
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    assert await looked.before() is None
    found = await looked.since(before)
    assert "took longer than 0 s" in found["error"]
    assert found["treeBefore"] == before["treeBefore"]


async def test_what_cannot_be_told_leaves_nothing_of_ours(work: Path) -> None:
    """Nobody could ever ask for those objects."""
    looked = repository(work)
    before = await looked.before()
    assert before is not None
    assert looked.folder.is_dir()
    (work / ".git" / "HEAD").unlink()
    assert "error" in await looked.since(before)
    assert not looked.folder.exists()


async def test_a_patch_that_is_too_long_is_told_by_the_command_instead(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is held in memory, and the command gives the very patch, also in another folder."""
    looked = repository(work)
    before = await looked.before()
    assert before is not None
    act(work)
    changes = await looked.since(before)
    patch = await looked.patch(changes, reverse=True)
    monkeypatch.setattr(module, "LONGEST_ANSWER", len(patch) - 1)
    with pytest.raises(TooMuch, match=f"git diff-tree says {len(patch)} bytes"):
        await looked.patch(changes, reverse=True)
    assert said_by_shell(looked.command(changes, reverse=True)) == patch


async def test_a_patch_whose_objects_are_gone_is_told(work: Path) -> None:
    """They are kept as long as the execution is, and no longer."""
    missing = {"treeBefore": "0" * 40, "treeAfter": "1" * 40}
    with pytest.raises(GitFailed, match="git diff-tree"):
        await repository(work).patch(missing, reverse=False)
