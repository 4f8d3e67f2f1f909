"""Who is not told of an alert that fires, and why: silenced or inhibited are facts beside its state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from sqlalchemy import Connection

from kokino.alerts import silence_store, store
from kokino.alerts.inhibition import Inhibiting, Inhibition, inhibiting, inhibition
from kokino.alerts.model import Alert
from kokino.alerts.silence import Owned, Silence, facts_of, keeping_quiet
from kokino.clock import spoken


class QuietRule(Inhibiting, Owned, Protocol):
    """What decides of a rule whether its alerts are quiet, and whom they keep so."""


class Why(StrEnum):
    """What keeps an alert quiet."""

    SILENCED = "silenced"
    INHIBITED = "inhibited"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """An alert tells nobody."""

    why: Why
    #: In plain English, for ``why`` and for pages.
    reason: str
    #: When it ends by itself; None while only another alert's end can end it.
    ends_at: datetime | None
    #: The silence or the alert that keeps it quiet.
    by: str


def quiet(conn: Connection, alert: Alert, rules: Mapping[str, QuietRule], *, now: datetime) -> Quiet | None:
    """Why `alert` tells nobody at `now`; None for one that does."""
    facts = facts_of(alert, rules.get(alert.rule_id))
    silence = keeping_quiet(silence_store.active(conn, now=now), facts, now)
    if silence is not None:
        return Quiet(why=Why.SILENCED, reason=_said(silence), ends_at=silence.ends_at, by=silence.silence_id)
    inhibited = inhibited_by(conn, alert, rules, now=now)
    if inhibited is not None:
        by, ends_at = inhibited.by, inhibited.ends_at
        return Quiet(why=Why.INHIBITED, reason=_inhibited(inhibited), ends_at=ends_at, by=by.alert_id)
    return None


def inhibited_by(
    conn: Connection, alert: Alert, rules: Mapping[str, Inhibiting], *, now: datetime
) -> Inhibition | None:
    """What inhibits `alert` at `now`; None where nothing does."""
    others = store.of_rules(conn, inhibiting(alert.rule_id, rules))
    return inhibition(alert, others, rules, now=now)


def _inhibited(found: Inhibition) -> str:
    by = found.by
    if found.ends_at is None:
        return f"inhibited by {by.rule_id}, which fires since {spoken(by.since)}"
    return (
        f"inhibited until {spoken(found.ends_at)} by {by.rule_id}, which was resolved at {spoken(by.since)}"
    )


def _said(silence: Silence) -> str:
    until = "until it is resolved, at the latest " if silence.until_resolved else "until "
    return f"silenced by {silence.created_by} {until}{spoken(silence.ends_at)}: {silence.comment}"
