"""People silence alerts, and take silences back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from kokino.alerts import silence_store, store
from kokino.alerts.matcher import Matcher
from kokino.alerts.model import Phase
from kokino.alerts.silence import Owned, Silence, facts_of, faults_in
from kokino.clock import Clock
from kokino.errors import Conflict, Invalid
from kokino.ids import Ids
from kokino.storage import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Silencing:
    """Makes silences and ends them."""

    storage: Storage
    clock: Clock
    ids: Ids
    #: By id: matchers may name a rule's severity and owner.
    rules: Mapping[str, Owned]
    #: How long one may last.
    longest: timedelta
    #: Called after each: what was due may be kept back now, and what was kept back may be due.
    on_change: Callable[[], None]

    async def silence(
        self,
        matchers: Sequence[Matcher],
        *,
        by: str,
        comment: str,
        ends_at: datetime | None,
        until_resolved: bool,
    ) -> Silence:
        """Keep the alerts that all matchers fit quiet; without `ends_at` for as long as is allowed.

        Raises `Invalid` with all faults at once, and `Conflict` for one that lasts until alerts are resolved
        while none that it fits fires: it would be over at once.
        """
        now = self.clock.now()
        last = now + self.longest if ends_at is None else ends_at
        if faults := [*faults_in(matchers, rules=self.rules, now=now, ends_at=last, longest=self.longest)]:
            raise Invalid("the silence cannot be made", faults)
        made = Silence(
            silence_id=self.ids.new("silence"),
            matchers=tuple(matchers),
            comment=comment,
            created_by=by,
            created_at=now,
            ends_at=last,
            until_resolved=until_resolved,
        )

        def write(conn: Connection) -> None:
            if until_resolved and not any(
                made.fits(facts_of(alert, self.rules.get(alert.rule_id)))
                for alert in store.listed(conn, (Phase.FIRING,))
            ):
                raise Conflict(f"nothing that {made.words} fits fires now: say until when it is to be quiet")
            silence_store.add(conn, made)

        await self.storage.write(write)
        self.on_change()
        return made

    async def silence_alert(
        self, alert_id: str, *, by: str, comment: str, ends_at: datetime | None
    ) -> Silence:
        """Keep one alert quiet: until `ends_at`, or without it until it is resolved.

        Raises `NotFound`, and `Conflict` for an alert that does not fire and would never be resolved.
        """
        alert = await self.storage.read(lambda conn: store.get(conn, alert_id))
        if ends_at is None and alert.state is not Phase.FIRING:
            raise Conflict(f"alert {alert_id} is {alert.state}: say until when it is to be quiet")
        return await self.silence(
            [Matcher(name="alert", value=alert_id)],
            by=by,
            comment=comment,
            ends_at=ends_at,
            until_resolved=ends_at is None,
        )

    async def keeping_quiet(self, silence: Silence) -> int:
        """How many of the alerts that fire now it fits."""
        firing = await self.storage.read(lambda conn: store.listed(conn, (Phase.FIRING,)))
        return sum(silence.fits(facts_of(alert, self.rules.get(alert.rule_id))) for alert in firing)

    async def end(self, silence_id: str) -> Silence:
        """Take a silence back; one that is over already stays as it is. Raises `NotFound`."""
        now = self.clock.now()

        def write(conn: Connection) -> Silence:
            silence_store.end(conn, silence_id, at=now)
            return silence_store.get(conn, silence_id)

        ended = await self.storage.write(write)
        self.on_change()
        return ended
