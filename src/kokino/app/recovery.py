"""Back up and restore a home's database without its broker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from kokino.app.settings import StorageSettings
from kokino.config import Config, Faults, load
from kokino.errors import KokinoError
from kokino.integrity.backups import FOLDER, Backup, Backups, Why
from kokino.integrity.settings import IntegritySettings
from kokino.storage import default_url, file_of, sqlitefile
from kokino.storage.sqlitefile import Restored

NOT_OURS = "this home's database is a PostgreSQL server's: use pg_dump and pg_restore, see docs/integrity.md"


def back_up(home: Path, environment: Mapping[str, str], *, now: datetime) -> Backup:
    """Copy the database of `home`, which a broker may be using. Raises `KokinoError`."""
    faults = Faults()
    backups = backups_of(load(home), environment, faults)
    faults.raise_if_any()
    if backups.database is None:
        raise KokinoError(NOT_OURS)
    if not backups.database.exists():
        raise KokinoError(
            f"{backups.database} does not exist: there is nothing to back up; name the broker's --home"
        )
    return asyncio.run(backups.make(Why.ASKED, now))


def found_backup(home: Path, named: Path, environment: Mapping[str, str]) -> Path:
    """The backup that somebody names: a file, or one of this home's by the name that lists it."""
    listed = _database(home, environment).parent / FOLDER / named
    return listed if len(named.parts) == 1 and not named.exists() and listed.exists() else named


def check_backup(backup: Path) -> None:
    """Raise `StorageError` for what could not be restored: before anybody is asked whether it should be."""
    sqlitefile.check_restorable(backup)


def restore(home: Path, backup: Path, environment: Mapping[str, str], *, now: datetime) -> Restored:
    """Put `backup` in the place of the database of `home`, whose broker must be stopped.

    Only the setting that names the database is read: a fault elsewhere in the file must not keep anybody from
    a restore. Raises `KokinoError`, and then nothing is changed.
    """
    path = _database(home, environment)
    return sqlitefile.restore(backup, path, aside=f"before-restore-{now:%Y%m%dT%H%M%SZ}")


def _database(home: Path, environment: Mapping[str, str]) -> Path:
    faults = Faults()
    path = file_of(url_of(load(home), environment, faults))
    faults.raise_if_any()
    if path is None:
        raise KokinoError(NOT_OURS)
    return path


def backups_of(config: Config, environment: Mapping[str, str], faults: Faults) -> Backups:
    """The backups of a home's database, as its settings keep them."""
    settings = config.section("integrity").read(IntegritySettings, faults) or IntegritySettings()
    path = file_of(url_of(config, environment, faults))
    return Backups(database=path, keep=settings.backups, keep_asked=settings.keep_asked)


def url_of(config: Config, environment: Mapping[str, str], faults: Faults) -> str:
    """Where a home's database is."""
    said = config.section("storage").read(StorageSettings, faults)
    return environment.get("KOKINO_DATABASE_URL") or (said and said.url) or default_url(config.home)
