"""Park an account whose quota is used up until it is full again, and lift what has an end.

All agents with one login share its quota: whichever of them tries next fails alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection

from kokino.agents import traffic_store
from kokino.agents.model import Pause, Scope
from kokino.agents.resets import resets_at
from kokino.clock import iso, local_zone
from kokino.storage import Storage
from kokino.telemetry import store as telemetry
from kokino.telemetry.model import Event, EventType

log = structlog.get_logger(__name__)

#: Who sets the pauses here.
KOKINO = "kokino"
#: For how long, when nothing tells: most quotas come back by the hour, and each question costs little.
GUESS = timedelta(minutes=15)
#: Less is not worth a pause, and a clock of the vendor's may be ahead of ours.
SHORTEST = timedelta(seconds=30)
#: The longest windows of the six CLIs are weeks; more is a sentence that was misread.
LONGEST = timedelta(days=8)
#: Of what the CLI said, so much is kept as the reason.
LONGEST_REASON = 500
#: A limit that somebody set for one run: the account has more.
_OF_ONE_RUN = re.compile(r"maximum budget|usd budget", re.IGNORECASE)


def parked_until(error: str, *, told: datetime | None, now: datetime) -> datetime | None:
    """When an account whose execution ended for want of quota may be used again.

    `told` is what a record said, `error` what the CLI said in words. None where nothing is used up but what
    one run was allowed.
    """
    if _OF_ONE_RUN.search(error):
        return None
    found = told or resets_at(error, now, local_zone(now)) or now + GUESS
    return min(max(found, now + SHORTEST), now + LONGEST)


def longer(present: Pause | None, wanted: Pause) -> Pause | None:
    """What to set where a pause may be already; None leaves it as it is.

    What somebody else set is theirs. Of two ends that CLIs told the later holds: there are hourly and weekly
    quotas.
    """
    if present is None or present.is_over(wanted.since):
        return wanted
    if present.set_by != KOKINO or present.ends_at is None or wanted.ends_at is None:
        return None
    return replace(wanted, since=present.since) if wanted.ends_at > present.ends_at else None


def park(conn: Connection, account: str, error: str, *, told: datetime | None, now: datetime) -> None:
    """Keep an account's executions in their queues until its quota is full again."""
    until = parked_until(error, told=told, now=now)
    if until is None:
        return
    reason = f"quota: {error}"[:LONGEST_REASON]
    wanted = Pause(
        scope=Scope.ACCOUNT, scope_id=account, reason=reason, since=now, set_by=KOKINO, ends_at=until
    )
    pause = longer(traffic_store.pause_of(conn, Scope.ACCOUNT, account), wanted)
    if pause is not None:
        traffic_store.pause(conn, pause)
        telemetry.append(conn, pause_event(EventType.ACCOUNT_PAUSED, pause, f"{KOKINO}: {reason}", now))


def lift_ended(conn: Connection, now: datetime) -> list[Pause]:
    """Lift the pauses whose end has come; which they were."""
    ended = [pause for pause in traffic_store.paused(conn) if pause.is_over(now)]
    for pause in ended:
        traffic_store.resume(conn, pause.scope, pause.scope_id)
        telemetry.append(
            conn, pause_event(EventType.ACCOUNT_RESUMED, pause, f"{KOKINO}: its end has come", now)
        )
    return ended


def pause_event(type_: EventType, pause: Pause, message: str, now: datetime) -> Event:
    """What is told of a pause that is set or lifted."""
    return Event(
        type=type_,
        at=now,
        agent_id=pause.scope_id if pause.scope is Scope.AGENT else None,
        account=pause.scope_id if pause.scope is Scope.ACCOUNT else None,
        message=message,
        data={
            "scope": pause.scope.value,
            "id": pause.scope_id,
            "endsAt": None if pause.ends_at is None else iso(pause.ends_at),
        },
    )


class Parking:
    """The engine's module that lifts pauses at their end."""

    name = "parking"

    def __init__(self, storage: Storage, *, on_change: Callable[[], None]) -> None:
        self._storage = storage
        self._on_change = on_change

    async def run(self, now: datetime) -> datetime | None:
        """Lift what has ended; when the next one ends."""
        left = await self._storage.read(traffic_store.paused)
        if any(pause.is_over(now) for pause in left):
            for pause in await self._storage.write(lambda conn: lift_ended(conn, now)):
                log.info("a pause has ended", scope=pause.scope.value, id=pause.scope_id)
            self._on_change()
        ends = (pause.ends_at for pause in left if not pause.is_over(now))
        return min((end for end in ends if end is not None), default=None)
