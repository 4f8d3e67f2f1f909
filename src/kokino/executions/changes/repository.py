"""What an execution changed in a git repository: looked at from outside, with nothing written into it.

The working directory's state is written down as a git tree before and after: whatever git would add,
untracked files too. Index and new objects lie in a folder of ours, which borrows the repository's objects, so
its own index, refs and object store stay as they are.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from kokino.executions.changes import git
from kokino.executions.changes.git import GitFailed, patiently
from kokino.executions.model import Execution
from kokino.executions.workshop import Workshop

log = structlog.get_logger(__name__)

#: What a patch is made of and how; it must be the same whatever the user has configured.
PLAINLY = ("-r", "-p", "--binary", "--no-renames", "--no-ext-diff", "--no-textconv")
#: A diff for people alone: what is no text is named.
READABLY = tuple(option for option in PLAINLY if option != "--binary")
#: So many changed and untracked files are listed; the counts are of all.
LISTED = 200
#: Settings of a repository's own files; an agent may have written these, and no others.
OWN_SCOPES = frozenset({b"local", b"worktree"})
WORDS = {"A": "added", "M": "modified", "D": "deleted", "T": "retyped"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a repository keeps what we read."""

    top: Path
    index: Path
    objects: Path
    #: The commit that is checked out; None before the first one.
    commit: str | None


@dataclass(frozen=True, slots=True)
class Repository:
    """The git repository around a working directory, and our folder for one execution's objects."""

    cwd: Path
    folder: Path
    #: Of git itself: a PATH and a HOME.
    environment: Mapping[str, str]
    #: The broker's own data, which may lie inside the repository and is nobody's work.
    private: Path

    async def before(self) -> dict[str, Any] | None:
        """``{repository, commitBefore, treeBefore}``; None where there is none, or no look at it."""
        if not await asyncio.to_thread(git.is_inside, self.cwd):
            return None
        try:
            async with patiently():
                place, tree = await self._look()
        except GitFailed as error:
            log.info("a repository is not looked at", cwd=str(self.cwd), reason=str(error))
            await self._forget()
            return None
        return {"repository": str(place.top), "commitBefore": place.commit, "treeBefore": tree}

    async def since(self, before: Mapping[str, Any]) -> dict[str, Any]:
        """`before` with what has changed since; with an ``error`` instead where that cannot be told."""
        try:
            async with patiently():
                place, tree = await self._look()
                files = await self._compare(place, before["treeBefore"], tree)
                asked = ("ls-files", "-z", "--others", "--exclude-standard", "--", ".")
                untracked = await self._git(place, *asked, *await self._left_out(place))
        except GitFailed as error:
            # What cannot be told needs no objects.
            await self._forget()
            return {**before, "error": str(error)}
        if tree == before["treeBefore"]:
            await self._forget()
        return {
            **before,
            "commitAfter": place.commit,
            "treeAfter": tree,
            "filesChanged": len(files),
            "insertions": sum(file["insertions"] or 0 for file in files),
            "deletions": sum(file["deletions"] or 0 for file in files),
            "files": files[:LISTED],
            "untracked": _texts(untracked)[:LISTED],
        }

    async def patch(self, changes: Mapping[str, Any], *, reverse: bool) -> bytes:
        """The change as a patch that ``git apply`` takes; `reverse` undoes it. Raises `GitFailed`."""
        async with patiently():
            place = await self._place()
            return await self._git(place, *_patch_of(changes, reverse=reverse), **self._ours(place))

    async def otherwise(
        self, changes: Mapping[str, Any], other: Repository, theirs: Mapping[str, Any]
    ) -> str:
        """What leads from the state after this execution to the one after another, in a copy, as a diff.

        Raises `GitFailed`, and `KeyError` where one of the two states is not known.
        """
        trees = (changes["treeAfter"], theirs["treeAfter"])
        async with patiently():
            place, copy = await self._place(), await other._place()
            borrowed = (other.folder / "objects", copy.objects, place.objects)
            ours = {**self._ours(place), "GIT_ALTERNATE_OBJECT_DIRECTORIES": ":".join(map(str, borrowed))}
            return (await self._git(place, "diff-tree", *READABLY, *trees, **ours)).decode(errors="replace")

    def command(self, changes: Mapping[str, Any], *, reverse: bool) -> str:
        """What a person types into a shell to get the same patch, however long it is."""
        ours = shlex.quote(str(self.folder / "objects"))
        asked = shlex.join(("git", "-C", str(self.cwd), *_patch_of(changes, reverse=reverse)))
        return f"GIT_ALTERNATE_OBJECT_DIRECTORIES={ours} {asked}"

    async def _look(self) -> tuple[Place, str]:
        """Write the present state down as a tree."""
        place = await self._place()
        await asyncio.to_thread(self._prepare, place)
        # Writing the tree reads files again that changed in the moment in which they were added.
        ours = {**self._ours(place), **await self._without_filters(place)}
        await self._git(place, "add", "--all", "--", ".", *await self._left_out(place), **ours)
        tree = await self._git(place, "write-tree", **ours)
        return place, tree.decode().strip()

    async def _place(self) -> Place:
        asked = ("--show-toplevel", "--git-path", "index", "--git-path", "objects")
        found = await self._run(self.cwd, "rev-parse", "--path-format=absolute", *asked)
        top, index, objects = map(Path, found.decode().splitlines())
        place = Place(top, index, objects, None)
        with suppress(GitFailed):
            commit = await self._git(place, "rev-parse", "--verify", "--quiet", "HEAD")
            return Place(top, index, objects, commit.decode().strip())
        return place

    def _prepare(self, place: Place) -> None:
        (self.folder / "objects").mkdir(parents=True, exist_ok=True, mode=0o700)
        # The repository's own index knows which files are unchanged: with it only changed ones are read.
        with suppress(FileNotFoundError):
            shutil.copyfile(place.index, self.folder / "index")

    async def _left_out(self, place: Place) -> tuple[str, ...]:
        if not self.private.is_relative_to(place.top):
            return ()
        # Where git ignores it anyway, naming it would be an error.
        with suppress(GitFailed):
            await self._git(place, "check-ignore", "--quiet", str(self.private))
            return ()
        return (f":(top,exclude,literal){self.private.relative_to(place.top)}",)

    async def _without_filters(self, place: Place) -> dict[str, str]:
        """An environment that switches off the filters which the repository configures.

        git would run their commands on every file that changed, as our child and with our rights. Those that
        the user has configured for all repositories, such as git-lfs, stay.
        """
        with suppress(GitFailed):  # exit code 1: there are none
            asked = ("config", "--null", "--show-scope", "--name-only", "--get-regexp", r"^filter\.")
            said = (await self._git(place, *asked)).split(b"\0")
            own = {key for scope, key in zip(said[::2], said[1::2], strict=False) if scope in OWN_SCOPES}
            return _overrides({os.fsdecode(key).rpartition(".")[0] for key in own})
        return {}

    def _ours(self, place: Place) -> dict[str, str]:
        return {
            "GIT_INDEX_FILE": str(self.folder / "index"),
            "GIT_OBJECT_DIRECTORY": str(self.folder / "objects"),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(place.objects),
        }

    async def _compare(self, place: Place, before: str, after: str) -> list[dict[str, Any]]:
        said = await self._git(
            place, "diff-tree", "-r", "-z", "--raw", "--numstat", "--no-renames", before, after,
            **self._ours(place),
        )  # fmt: skip
        return _files(_texts(said))

    async def _git(self, place: Place, *arguments: str, **more: str) -> bytes:
        return await self._run(place.top, *arguments, **more)

    async def _run(self, cwd: Path, *arguments: str, **more: str) -> bytes:
        return await git.run(cwd, *arguments, environment={**self.environment, **more})

    async def _forget(self) -> None:
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)


def _patch_of(changes: Mapping[str, Any], *, reverse: bool) -> tuple[str, ...]:
    pair = (changes["treeBefore"], changes["treeAfter"])
    return ("diff-tree", *PLAINLY, *(pair[::-1] if reverse else pair))


def changes_of(workshop: Workshop, execution: Execution, cwd: Path | None = None) -> Repository:
    """The repository that an execution ran in; `cwd` where none has been noted yet."""
    folder = workshop.changes / execution.execution_id
    noted = (execution.changes or {}).get("repository")
    place = Path(noted) if noted else cwd or folder
    return Repository(place, folder, workshop.environment, private=workshop.changes.parent)


def _overrides(filters: Iterable[str]) -> dict[str, str]:
    """Settings that go before a repository's own, as variables: a filter's name may hold any character."""
    unset = {"clean": "", "process": "", "required": "false"}
    settings = [(f"{name}.{key}", value) for name in sorted(filters) for key, value in unset.items()]
    numbered = {
        f"GIT_CONFIG_{word}_{number}": text
        for number, setting in enumerate(settings)
        for word, text in zip(("KEY", "VALUE"), setting, strict=True)
    }
    return {"GIT_CONFIG_COUNT": str(len(settings)), **numbered}


def _texts(said: bytes) -> list[str]:
    return [part.decode("utf-8", "replace") for part in said.split(b"\0") if part]


def _files(parts: Sequence[str]) -> list[dict[str, Any]]:
    """The files of ``diff-tree -z --raw --numstat``: first all their kinds, then all their counts."""
    kinds: dict[str, str] = {}
    files = []
    rest = iter(parts)
    for part in rest:
        if part.startswith(":"):
            kinds[next(rest)] = WORDS.get(part.split()[-1][:1], "modified")
            continue
        added, removed, path = part.split("\t", 2)
        files.append({
            "path": path,
            "change": kinds.get(path, "modified"),
            # git counts no lines of what is no text.
            "insertions": int(added) if added.isdigit() else None,
            "deletions": int(removed) if removed.isdigit() else None,
        })  # fmt: skip
    return files
