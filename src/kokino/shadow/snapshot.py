"""Snapshots of working directories, one for each agent: taken, looked at again, removed."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import stat
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from kokino.executions.changes.git import GitFailed
from kokino.shadow import files, repository
from kokino.shadow.files import Bounds, Copier, NotTaken
from kokino.shadow.model import Changed

log = structlog.get_logger(__name__)

#: The longest that a snapshot may take, in seconds: the caller's execution waits for it.
PATIENCE = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A copy of a working directory at one instant."""

    #: What it is a copy of: the whole repository, or the working directory where that is in none.
    root: Path
    copy: Path
    #: Where an agent starts in it.
    cwd: Path


@dataclass(slots=True, kw_only=True)
class Snapshots:
    """All snapshots of a broker. At one time there is one for each agent, always in the same place."""

    #: Below it each agent has a folder while it has a snapshot.
    folder: Path
    #: Of git: a PATH and a HOME.
    environment: Mapping[str, str]
    #: The broker's own data, which may lie inside a repository and is nobody's work.
    private: Path
    bounds: Bounds = field(default_factory=Bounds)

    async def take(self, agent_id: str, cwd: Path) -> Snapshot:
        """Copy the working directory as it is now: HEAD, what differs from it, and what git would take in.

        Nothing is written into it, and nothing that it configures is run. Raises `NotTaken`; then nothing is
        left.
        """
        try:
            return await self._take(agent_id, cwd)
        except NotTaken:
            await self.remove(agent_id)
            raise

    async def changed_in_root(self, agent_id: str, root: Path) -> Changed | None:
        """What has changed in the real directory since; None where that cannot be told."""
        return await self._changed(agent_id, root, root)

    async def changed_in_copy(self, agent_id: str, root: Path) -> Changed | None:
        """What has changed in the snapshot since, its own path read as the real one."""
        return await self._changed(agent_id, self.copy_of(agent_id, root), root)

    def copy_of(self, agent_id: str, root: Path) -> Path:
        """Where the snapshot of `root` lies: by the same name, for agents speak of it."""
        return self.folder / agent_id / "tree" / (root.name or "root")

    async def remove(self, agent_id: str) -> None:
        """Remove an agent's snapshot, and what an agent has made of its permissions."""
        try:
            await asyncio.to_thread(_remove, self.folder / agent_id)
        except OSError as error:  # it is tried again at the next start, and before the next snapshot
            log.warning("a snapshot cannot be removed", agent=agent_id, reason=str(error))

    async def known(self) -> list[str]:
        """The agents of which there is a snapshot, or what is left of one."""
        return await asyncio.to_thread(_folders_in, self.folder)

    async def _take(self, agent_id: str, cwd: Path) -> Snapshot:
        given_up = threading.Event()
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._copied(agent_id, await asyncio.to_thread(cwd.resolve), given_up)
        except TimeoutError as error:
            raise NotTaken(f"it took longer than {PATIENCE:g} s") from error
        except (GitFailed, OSError, ValueError) as error:
            raise NotTaken(f"it cannot be read: {error}") from error
        finally:
            given_up.set()

    async def _copied(self, agent_id: str, cwd: Path, given_up: threading.Event) -> Snapshot:
        original = await repository.find(cwd, self.environment)
        root = cwd if original is None else original.top
        copy = self.copy_of(agent_id, root)
        await asyncio.to_thread(_begin, self.folder / agent_id, copy)
        names = await self._names(root, is_repository=original is not None)
        copier = Copier(root, copy, self.bounds, given_up)
        manifest = await asyncio.to_thread(copier.copy, names)
        await asyncio.to_thread(files.save, manifest, self._manifest(agent_id))
        if original is not None:
            await repository.make(original, copy)
        inside = copy / cwd.relative_to(root)
        inside.mkdir(parents=True, exist_ok=True)
        return Snapshot(root=root, copy=copy, cwd=inside)

    async def _names(self, root: Path, *, is_repository: bool) -> list[str]:
        if is_repository:
            found = await repository.files_of(root, self.environment)
        else:
            found = await asyncio.to_thread(files.walk, root, limit=self.bounds.files)
        if not self.private.is_relative_to(root):
            return found
        ours = f"{self.private.relative_to(root)}/"
        return [name for name in found if not name.startswith(ours)]

    async def _changed(self, agent_id: str, place: Path, root: Path) -> Changed | None:
        given_up = threading.Event()
        try:
            before = await asyncio.to_thread(files.load, self._manifest(agent_id))
            is_repository = (place / ".git").exists()
            async with asyncio.timeout(PATIENCE):
                names = await self._names(place, is_repository=is_repository)
                if len(names) > self.bounds.files:
                    return None
                return await asyncio.to_thread(files.changed, place, names, before, given_up, known_as=root)
        except (GitFailed, OSError, ValueError, TimeoutError) as error:
            log.info("what changed cannot be told", agent=agent_id, place=str(place), reason=str(error))
            return None
        finally:
            given_up.set()

    def _manifest(self, agent_id: str) -> Path:
        return self.folder / agent_id / "manifest.json"


def _begin(folder: Path, copy: Path) -> None:
    _remove(folder)
    folder.mkdir(parents=True, mode=0o700)
    copy.mkdir(parents=True)


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except (OSError, RecursionError):
        _flatten(folder)


def _flatten(folder: Path) -> None:
    """Remove what an agent has closed, as some package managers do, or made too deep for any path.

    What lies in a folder of `folder` moves up beside it, until there is none: so no path is long.
    """
    numbers = itertools.count()
    folder.chmod(stat.S_IRWXU)
    while inner := [Path(entry.path) for entry in os.scandir(folder)]:
        for one in inner:
            if one.is_symlink() or not one.is_dir():
                one.unlink()
                continue
            one.chmod(stat.S_IRWXU)
            for entry in os.scandir(one):
                if entry.is_dir(follow_symlinks=False):
                    # It cannot be moved by one who may not write into it.
                    Path(entry.path).chmod(stat.S_IRWXU)
                    Path(entry.path).rename(folder / f".kokino-{next(numbers)}")
                else:
                    Path(entry.path).unlink()
            one.rmdir()
    folder.rmdir()


def _folders_in(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except FileNotFoundError:
        return []
