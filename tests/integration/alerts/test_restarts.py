"""A broker that is restarted at any change of an alert's state goes on as if nothing had been."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from sqlalchemy import Connection

from kokino.alerts import store
from kokino.alerts.module import AlertRules
from kokino.alerts.rehearse import START
from kokino.alerts.rule import AlertRule
from kokino.slo.defaults import defaults
from kokino.storage import Storage, open_storage
from kokino.telemetry.model import Event
from kokino.testing.ids import SequentialIds
from tests.alert_streams import LENGTH_S, RULES, SECOND, STREAMS, Told, running, write

END = START + LENGTH_S * SECOND + timedelta(days=1)
#: All that a change is told by, but for names.
Change = tuple[object, ...]


class Broker:
    """Alerts with their database, from the first event to a day after the last."""

    def __init__(self, storage: Storage, rule: AlertRule, *, restarts: bool) -> None:
        self.storage = storage
        self.rule = rule
        self.restarts = restarts
        self.known: list[Event] = []
        self.ids = SequentialIds()
        self.module = self._new()

    async def live(self, stream: Sequence[Told]) -> list[Change]:
        """Every change, in order."""
        instants = sorted({told.at for told in stream} | {START, END})
        for now, until in zip(instants, [*instants[1:], END], strict=True):
            await self._happen([told.event for told in stream if told.at == now])
            due: datetime | None = now
            while due is not None and (due < until or due == now):
                due = await self._look(due)
        return await self.storage.read(_changes)

    def _new(self) -> AlertRules:
        knows = partial(running, self.known)
        return AlertRules(self.storage, self.ids, (self.rule,), defaults(), knows_running=knows)

    async def _happen(self, events: Sequence[Event]) -> None:
        self.known.extend(events)
        await self.storage.write(lambda conn: write(conn, *events))

    async def _look(self, now: datetime) -> datetime | None:
        before = await self.storage.read(_changes)
        due = await self.module.run(now)
        if self.restarts and await self.storage.read(_changes) != before:
            self.module = self._new()
            due = await self.module.run(now)
        return due


def _changes(conn: Connection) -> list[Change]:
    return [
        (sorted(alert.labels.items()), change.at, change.from_state, change.to_state, change.reason)
        for alert in sorted(store.listed(conn), key=lambda alert: alert.fingerprint)
        for change in store.why(conn, alert.alert_id)
    ]


@pytest.fixture(scope="module")
async def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the schema and no rows; each example has a copy."""
    path = tmp_path_factory.mktemp("restarts") / "empty.db"
    await (await open_storage(f"sqlite:///{path}")).close()
    return path


@settings(max_examples=20)
@given(rule=RULES, stream=STREAMS)
async def test_a_restart_at_any_change_changes_nothing(
    empty: Path, rule: AlertRule, stream: list[Told]
) -> None:
    """A new module on the same database makes the same changes at the same instants for the same reasons."""
    found = []
    for restarts in (False, True):
        with TemporaryDirectory(dir=empty.parent) as folder:
            storage = await open_storage(f"sqlite:///{shutil.copy(empty, folder)}")
            try:
                found.append(await Broker(storage, rule, restarts=restarts).live(stream))
            finally:
                await storage.close()
    assert found[0] == found[1]
