"""A second git repository over a copy of somebody's files: same commits, same index, nothing of ours in his.

It borrows the objects of the first one by ``objects/info/alternates``; refs and the few settings that change
what git says are written into files of its own. It has no remote: nothing that is done there can be pushed.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kokino.executions.changes import git
from kokino.executions.changes.git import GitFailed

#: Settings that change what git says of files, or who commits. Any other may name a program.
KEPT = re.compile(
    r"user\.(name|email)|core\.(autocrlf|eol|filemode|ignorecase|symlinks|quotepath)", re.IGNORECASE
)
#: A file counts as touched by its size and time of change alone: those the copies have kept.
OWN = {"core.checkStat": "minimal", "core.trustctime": "false", "gc.auto": "0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """Where a repository keeps what a second one over a copy needs."""

    top: Path
    index: Path
    objects: Path
    exclude: Path
    shallow: Path
    #: ``sha1`` or ``sha256``.
    hash: str
    environment: Mapping[str, str]

    async def ask(self, *arguments: str) -> bytes:
        """What git says of it."""
        return await git.run(self.top, *arguments, environment=self.environment)


async def find(cwd: Path, environment: Mapping[str, str]) -> Original | None:
    """The repository around a folder; None where there is none. Raises `GitFailed`."""
    if not await asyncio.to_thread(git.is_inside, cwd):
        return None
    kept = ("index", "objects", "info/exclude", "shallow")
    asked = ("--show-toplevel", "--show-object-format", *(f"--git-path={name}" for name in kept))
    arguments = [part for one in asked for part in one.split("=", 1)]
    said = await git.run(cwd, "rev-parse", "--path-format=absolute", *arguments, environment=environment)
    top, hash_, *paths = said.decode().splitlines()
    index, objects, exclude, shallow = map(Path, paths)
    return Original(
        top=Path(top), index=index, objects=objects, exclude=exclude, shallow=shallow,
        hash=hash_, environment=environment,
    )  # fmt: skip


async def files_of(top: Path, environment: Mapping[str, str]) -> list[str]:
    """Whatever git tracks or would take in, also in repositories inside of this one. Raises `GitFailed`."""
    asked = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    said = await git.run(top, *asked, environment=environment)
    found: list[str] = []
    for name in sorted({os.fsdecode(part).rstrip("/") for part in said.split(b"\0") if part}):
        if (top / name / ".git").exists() and not (top / name).is_symlink():
            found += [f"{name}/{inner}" for inner in await files_of(top / name, environment)]
        else:
            found.append(name)
    return found


async def make(original: Original, copy: Path) -> None:
    """Make the repository over the copied files. Raises `GitFailed` and `OSError`."""
    refs = await original.ask("for-each-ref", "--format=%(objectname) %(refname)")
    head = await _head(original)
    settings = await _settings(original)
    made = ("init", "--quiet", "--template=", f"--object-format={original.hash}", ".")
    await git.run(copy, *made, environment=original.environment)
    await asyncio.to_thread(_fill, original, copy / ".git", refs, head, settings)


def _fill(original: Original, own: Path, refs: bytes, head: str, settings: Mapping[str, str]) -> None:
    (own / "objects" / "info").mkdir(exist_ok=True)
    (own / "objects" / "info" / "alternates").write_bytes(os.fsencode(original.objects) + b"\n")
    (own / "packed-refs").write_bytes(refs)
    (own / "HEAD").write_text(head + "\n")
    with (own / "config").open("a", encoding="utf-8") as config:
        config.writelines(f"{_setting(name, value)}\n" for name, value in settings.items())
    (own / "info").mkdir(exist_ok=True)
    taken = [(original.index, own / "index"), (original.shallow, own / "shallow")]
    taken.append((original.exclude, own / "info" / "exclude"))
    taken += [(part, own / part.name) for part in original.index.parent.glob("sharedindex.*")]
    for there, here in taken:
        with suppress(FileNotFoundError):
            shutil.copyfile(there, here)


async def _head(original: Original) -> str:
    with suppress(GitFailed):  # exit code 1: no branch is checked out, but a commit
        return f"ref: {(await original.ask('symbolic-ref', '--quiet', 'HEAD')).decode().strip()}"
    return (await original.ask("rev-parse", "--verify", "HEAD")).decode().strip()


async def _settings(original: Original) -> dict[str, str]:
    with suppress(GitFailed):  # exit code 1: there are none
        said = await original.ask("config", "--null", "--get-regexp", r"^(user|core)\.")
        pairs = (part.partition("\n") for part in said.decode(errors="replace").split("\0") if part)
        return {name: value for name, _, value in pairs if KEPT.fullmatch(name)} | OWN
    return dict(OWN)


def _setting(name: str, value: str) -> str:
    section, key = name.split(".", 1)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'[{section}]\n\t{key} = "{escaped}"'
