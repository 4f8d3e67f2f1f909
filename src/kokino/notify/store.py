"""The outbox's rows: deliveries and their attempts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    case,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from kokino.notify.model import Action, Attempt, Delivery, DeliveryState, Message, Outcome, Receipt
from kokino.notify.retry import Verdict, given_up
from kokino.storage.schema import deliveries as _deliveries
from kokino.storage.schema import delivery_attempts as _attempts

#: What PagerDuty takes, and what the column holds.
LONGEST_KEY = 255
#: States that something still follows.
OPEN = (DeliveryState.WAITING, DeliveryState.LEASED)


def enqueue(
    conn: Connection,
    *,
    receiver: str,
    action: Action,
    dedup_key: str,
    message: Message,
    now: datetime,
    episode_id: str | None = None,
    incident: int | None = None,
) -> int:
    """Put a message into the outbox, in the caller's transaction, and return the delivery's id.

    Deliveries of one receiver and dedup key go out in the order of this call.
    Raises `ValueError` for an empty or overlong dedup key.
    """
    if not 0 < len(dedup_key) <= LONGEST_KEY:
        raise ValueError(f"a dedup key has 1 to {LONGEST_KEY} characters, this one has {len(dedup_key)}")
    row = {
        "receiver": receiver,
        "action": action,
        "dedup_key": dedup_key,
        "message": message.to_document(),
        "state": DeliveryState.WAITING,
        "attempts": 0,
        "queued_at": now,
        "due_at": now,
        "episode_id": episode_id,
        "incident": incident,
    }
    inserted = conn.execute(insert(_deliveries).values(row).returning(_deliveries.c.delivery_id))
    delivery_id: int = inserted.scalar_one()
    return delivery_id


def claim(
    conn: Connection,
    now: datetime,
    lease: timedelta,
    *,
    slots: Mapping[str, int],
    exclude: Collection[int] = (),
) -> list[Delivery]:
    """Lease what is due, at most `slots[receiver]` for each receiver, oldest first.

    Only the oldest open delivery of a receiver and dedup key can be claimed. A lease that ran out is claimed
    again: its attempt is closed without an outcome, for nobody knows what the receiver saw of it. `exclude`
    names deliveries whose sending goes on although the lease is over, as under a scaled clock.
    """
    is_due = or_(
        and_(_deliveries.c.state == DeliveryState.WAITING, _deliveries.c.due_at <= now),
        and_(_deliveries.c.state == DeliveryState.LEASED, _deliveries.c.lease_ends_at <= now),
    )
    claimed: list[int] = []
    for receiver, free in slots.items():
        due = select(_deliveries.c.delivery_id).where(_is_head([receiver], exclude), is_due)
        claimed += conn.execute(due.order_by(_deliveries.c.delivery_id).limit(free)).scalars()
    if not claimed:
        return []
    leased = {"state": DeliveryState.LEASED, "lease_ends_at": now + lease}
    conn.execute(update(_deliveries).where(_deliveries.c.delivery_id.in_(claimed)).values(leased))
    _close_attempts(conn, claimed, now)
    return _read(
        conn, _selected().where(_deliveries.c.delivery_id.in_(claimed)).order_by(_deliveries.c.delivery_id)
    )


def start_attempt(conn: Connection, delivery: Delivery, now: datetime) -> Attempt:
    """Write down, before anything is sent, that it is about to be."""
    number = delivery.attempts + 1
    attempt_id = conn.execute(
        insert(_attempts)
        .values(delivery_id=delivery.delivery_id, started_at=now)
        .returning(_attempts.c.attempt_id)
    ).scalar_one()
    conn.execute(
        update(_deliveries).where(_deliveries.c.delivery_id == delivery.delivery_id).values(attempts=number)
    )
    return Attempt(attempt_id=attempt_id, delivery_id=delivery.delivery_id, number=number, started_at=now)


def finish_attempt(
    conn: Connection, attempt: Attempt, receipt: Receipt, verdict: Verdict, now: datetime
) -> None:
    """Write down what came of an attempt, and what follows for its delivery."""
    conn.execute(
        update(_attempts)
        .where(_attempts.c.attempt_id == attempt.attempt_id)
        .values(ended_at=now, outcome=_stored(receipt.outcome), detail=receipt.detail)
    )
    values: dict[str, Any] = {"state": verdict.state, "lease_ends_at": None, "error": verdict.reason}
    if verdict.due_at is not None:
        values["due_at"] = verdict.due_at
    if verdict.state is DeliveryState.DELIVERED:
        values |= {"delivered_at": now, "reference": receipt.reference}
    conn.execute(update(_deliveries).where(_may_settle(attempt, verdict)).values(values))


def cancel_orphans(conn: Connection) -> list[Delivery]:
    """Cancel what waits to follow a trigger that failed: there is nothing to acknowledge or resolve."""
    trigger, earlier = _deliveries.alias("trigger"), _deliveries.alias("earlier")
    newest = (
        select(func.max(earlier.c.delivery_id))
        .where(
            earlier.c.receiver == _deliveries.c.receiver,
            earlier.c.dedup_key == _deliveries.c.dedup_key,
            earlier.c.delivery_id < _deliveries.c.delivery_id,
            earlier.c.action == Action.TRIGGER,
        )
        .correlate(_deliveries)
        .scalar_subquery()
    )
    orphans = conn.execute(
        select(_deliveries.c.delivery_id, trigger.c.delivery_id.label("trigger_id"), trigger.c.error)
        .select_from(_deliveries.join(trigger, trigger.c.delivery_id == newest))
        .where(
            _deliveries.c.state == DeliveryState.WAITING,
            _deliveries.c.action != Action.TRIGGER,
            trigger.c.state == DeliveryState.FAILED,
        )
        .order_by(_deliveries.c.delivery_id)
    ).all()
    for orphan in orphans:
        reason = f"not sent: its trigger, delivery {orphan.trigger_id}, failed: {orphan.error}"
        _end(conn, orphan.delivery_id, Verdict(state=DeliveryState.CANCELLED, reason=reason))
    return _by_ids(conn, [orphan.delivery_id for orphan in orphans])


def fail_unknown(conn: Connection, receivers: Collection[str], now: datetime) -> list[Delivery]:
    """Give up what is addressed to none of `receivers`: the configuration no longer names them."""
    lost = _read(
        conn, _selected().where(_deliveries.c.state.in_(OPEN), _deliveries.c.receiver.not_in(receivers))
    )
    _close_attempts(conn, [delivery.delivery_id for delivery in lost], now)
    lost = _by_ids(conn, [delivery.delivery_id for delivery in lost])
    for delivery in lost:
        reason = f"receiver {delivery.receiver!r} is not configured any more"
        _end(conn, delivery.delivery_id, given_up(reason, is_uncertain=delivery.is_uncertain))
    return _by_ids(conn, [delivery.delivery_id for delivery in lost])


def next_due(
    conn: Connection, *, receivers: Collection[str], exclude: Collection[int] = ()
) -> datetime | None:
    """The earliest instant at which `claim` would find something for these receivers."""
    is_leased = _deliveries.c.state == DeliveryState.LEASED
    due = func.min(case((is_leased, _deliveries.c.lease_ends_at), else_=_deliveries.c.due_at))
    found: datetime | None = conn.execute(select(due).where(_is_head(receivers, exclude))).scalar()
    return found


def deliveries(
    conn: Connection,
    *,
    episode_id: str | None = None,
    incident: int | None = None,
    state: DeliveryState | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Delivery]:
    """Deliveries, newest first, those with an id below `before`."""
    query = _selected()
    if episode_id is not None:
        query = query.where(_deliveries.c.episode_id == episode_id)
    if incident is not None:
        query = query.where(_deliveries.c.incident == incident)
    if state is not None:
        query = query.where(_deliveries.c.state == state)
    if before is not None:
        query = query.where(_deliveries.c.delivery_id < before)
    return _read(conn, query.order_by(_deliveries.c.delivery_id.desc()).limit(limit))


def is_ended(conn: Connection, *, receiver: str, episode_id: str) -> bool:
    """True once an episode's end is on its way to a receiver, or there."""
    found = exists().where(
        _deliveries.c.episode_id == episode_id,
        _deliveries.c.receiver == receiver,
        _deliveries.c.action == Action.RESOLVE,
    )
    return bool(conn.scalar(select(found)))


def ends(conn: Connection, *, receiver: str, since: datetime) -> list[Delivery]:
    """Every end of an episode that was queued for a receiver after `since`, whatever became of it."""
    query = _selected().where(
        # Never before it was queued; by this index what is older is not read.
        _deliveries.c.state.in_(list(DeliveryState)),
        _deliveries.c.due_at > since,
        _deliveries.c.queued_at > since,
        _deliveries.c.receiver == receiver,
        _deliveries.c.action == Action.RESOLVE,
        _deliveries.c.episode_id.is_not(None),
    )
    return _read(conn, query.order_by(_deliveries.c.delivery_id))


def attempts(conn: Connection, delivery_id: int) -> list[Attempt]:
    """The attempts of one delivery, oldest first."""
    query = select(_attempts).where(_attempts.c.delivery_id == delivery_id).order_by(_attempts.c.attempt_id)
    return [_attempt(row, number) for number, row in enumerate(conn.execute(query).mappings(), start=1)]


def oldest_waiting(conn: Connection) -> datetime | None:
    """Since when the oldest open delivery waits; None when the outbox is empty."""
    oldest = select(func.min(_deliveries.c.queued_at)).where(_deliveries.c.state.in_(OPEN))
    found: datetime | None = conn.execute(oldest).scalar()
    return found


def open_by_state(conn: Connection) -> dict[DeliveryState, int]:
    """How many deliveries something still follows for, by where they stand."""
    query = select(_deliveries.c.state, func.count()).where(_deliveries.c.state.in_(OPEN))
    found = {
        DeliveryState(state): count for state, count in conn.execute(query.group_by(_deliveries.c.state))
    }
    return {state: found.get(state, 0) for state in OPEN}


def _is_head(receivers: Collection[str], exclude: Collection[int]) -> ColumnElement[bool]:
    """The oldest open one of its receiver and dedup key: a resolve never overtakes its trigger."""
    earlier = _deliveries.alias("earlier")
    is_blocked = exists().where(
        earlier.c.receiver == _deliveries.c.receiver,
        earlier.c.dedup_key == _deliveries.c.dedup_key,
        earlier.c.delivery_id < _deliveries.c.delivery_id,
        earlier.c.state.in_(OPEN),
    )
    return and_(
        _deliveries.c.state.in_(OPEN),
        _deliveries.c.receiver.in_(receivers),
        _deliveries.c.delivery_id.not_in(exclude),
        ~is_blocked,
    )


def _may_settle(attempt: Attempt, verdict: Verdict) -> ColumnElement[bool]:
    """An attempt that comes home after its lease speaks for its delivery only if it was accepted."""
    is_own = _deliveries.c.delivery_id == attempt.delivery_id
    if verdict.state is DeliveryState.DELIVERED:
        return and_(is_own, _deliveries.c.state != DeliveryState.DELIVERED)
    is_newest = _deliveries.c.attempts == attempt.number
    return and_(is_own, is_newest, _deliveries.c.state == DeliveryState.LEASED)


def _close_attempts(conn: Connection, delivery_ids: Sequence[int], now: datetime) -> None:
    is_open = and_(_attempts.c.delivery_id.in_(delivery_ids), _attempts.c.ended_at.is_(None))
    detail = "the broker went away while it was sending"
    conn.execute(update(_attempts).where(is_open).values(ended_at=now, detail=detail))


def _end(conn: Connection, delivery_id: int, verdict: Verdict) -> None:
    ended = {"state": verdict.state, "error": verdict.reason, "lease_ends_at": None}
    conn.execute(update(_deliveries).where(_deliveries.c.delivery_id == delivery_id).values(ended))


def _stored(outcome: Outcome) -> Outcome | None:
    return None if outcome is Outcome.UNCERTAIN else outcome


def _selected() -> Select[Any]:
    is_uncertain = exists().where(
        _attempts.c.delivery_id == _deliveries.c.delivery_id,
        _attempts.c.outcome.is_(None),
        _attempts.c.ended_at.is_not(None),
    )
    return select(_deliveries, is_uncertain.label("is_uncertain"))


def _by_ids(conn: Connection, delivery_ids: Sequence[int]) -> list[Delivery]:
    if not delivery_ids:
        return []
    return _read(
        conn,
        _selected().where(_deliveries.c.delivery_id.in_(delivery_ids)).order_by(_deliveries.c.delivery_id),
    )


def _read(conn: Connection, query: Select[Any]) -> list[Delivery]:
    return [_delivery(row) for row in conn.execute(query).mappings()]


def _delivery(row: RowMapping) -> Delivery:
    fields: dict[str, Any] = {str(name): value for name, value in row.items()}
    fields["action"] = Action(row["action"])
    fields["state"] = DeliveryState(row["state"])
    fields["message"] = Message.from_document(row["message"])
    fields["is_uncertain"] = bool(row["is_uncertain"])
    return Delivery(**fields)


def _attempt(row: RowMapping, number: int) -> Attempt:
    return Attempt(
        attempt_id=row["attempt_id"],
        delivery_id=row["delivery_id"],
        number=number,
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        outcome=None if row["outcome"] is None else Outcome(row["outcome"]),
        detail=row["detail"],
    )
