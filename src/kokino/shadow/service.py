"""What people and playbooks ask of shadow mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from kokino.clock import Clock
from kokino.shadow import store
from kokino.shadow.decision import OBSERVED, Decision, decide
from kokino.shadow.figures import Figures, by, figures
from kokino.shadow.model import Comparison, Side
from kokino.shadow.module import Comparisons
from kokino.shadow.store import Off
from kokino.storage import Storage
from kokino.telemetry import rollup_store
from kokino.telemetry import store as telemetry
from kokino.telemetry.model import Event, EventType, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How comparisons of a window went."""

    since: datetime
    until: datetime
    #: Comparisons that are not over.
    running: int
    #: Why shadow mode is switched off; None while it is on.
    off: Off | None
    everything: Figures
    by_agent: Mapping[str, Figures]
    by_cli_type: Mapping[str, Figures]


@dataclass(slots=True, kw_only=True)
class ShadowMode:
    """Report, decide, and switch off."""

    storage: Storage
    clock: Clock
    comparisons: Comparisons

    async def report(self, length: timedelta) -> Report:
        """The users' comparisons that were judged within the last `length`."""
        until = self.clock.now()
        since = until - length

        def read(conn: Connection) -> Report:
            # The window ends after this instant: what was judged at it belongs to it.
            found = store.judged_since(conn, since, until + timedelta(milliseconds=1))
            return Report(
                since=since,
                until=until,
                running=store.running(conn),
                off=store.off(conn),
                everything=figures(found),
                by_agent=by(found, lambda one: one.agent_id),
                by_cli_type=by(found, lambda one: one.cli_type),
            )

        return await self.storage.read(read)

    async def mismatches(self, *, before: str | None, limit: int) -> Sequence[Comparison]:
        """The latest ones, newest first; `before` is the execution of the last one of an earlier answer."""
        return await self.storage.read(lambda conn: store.mismatches(conn, before=before, limit=limit))

    async def failures(self, side: Side | None, *, before: str | None, limit: int) -> Sequence[Comparison]:
        """The latest comparisons of which one side, or either, failed; newest first."""
        return await self.storage.read(lambda conn: store.failures(conn, side, before=before, limit=limit))

    async def decision(self) -> Decision:
        """Whether headless can take over, by the last 30 days."""
        now = self.clock.now()
        since, until = now - OBSERVED, now + timedelta(milliseconds=1)
        return await self.storage.read(
            lambda conn: decide(
                figures(store.judged_since(conn, since, until)),
                rollup_store.totals(conn, since, until, Scope.CHECKS).counts,
                store.first_at(conn),
                now,
            )
        )

    async def disable_all(self, *, reason: str, by: str) -> Off:
        """Compare nothing more: agents in shadow mode run by tmux alone. What runs beside them is ended."""
        off = Off(reason=reason, since=self.clock.now(), set_by=by)

        def write(conn: Connection) -> list[Comparison]:
            store.switch_off(conn, off)
            telemetry.append(conn, _event(EventType.SHADOW_DISABLED, off.since, f"{by}: {reason}"))
            return store.pending(conn)

        for pending in await self.storage.write(write):
            if pending.cut_off is None:
                await self.comparisons.cut_off(pending, "shadow mode was switched off")
        return off

    async def enable(self, *, reason: str, by: str) -> bool:
        """Compare again; False where nobody had switched it off."""
        now = self.clock.now()

        def write(conn: Connection) -> bool:
            was_off = store.switch_on(conn)
            if was_off:
                telemetry.append(conn, _event(EventType.SHADOW_ENABLED, now, f"{by}: {reason}"))
            return was_off

        return await self.storage.write(write)


def _event(type: EventType, at: datetime, message: str) -> Event:
    return Event(type=type, at=at, message=message)
