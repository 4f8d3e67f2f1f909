"""The engine's module that starts, advances and ends escalations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from kokino.alerts import episode_store
from kokino.alerts import store as alert_store
from kokino.alerts.episode import Episode
from kokino.barrier import Barrier
from kokino.errors import Conflict
from kokino.escalation import decide, store
from kokino.escalation.decide import STATES, Decision
from kokino.escalation.desk import Desk
from kokino.escalation.model import Escalation, EscalationState, Facts, Subject
from kokino.escalation.tellings import tellings
from kokino.incidents import store as incident_store
from kokino.incidents import words
from kokino.incidents.model import TimelineEntry, incident_id
from kokino.notify.model import Action, Delivery
from kokino.storage import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What one escalation needs now, and how it stands afterwards."""

    subject: Subject
    before: Escalation
    after: Escalation
    decision: Decision
    facts: Facts
    #: The probable cause, found since people were told and not passed on yet.
    news: str | None

    @property
    def is_due(self) -> bool:
        """True when there is anything to be done or written down."""
        return self.before != self.after or self.decision.tells or self.news is not None


class Escalations:
    """Tells the first tier of every firing alert at once, and the others when they are due."""

    name = "escalations"

    def __init__(self, storage: Storage, desk: Desk, *, on_change: Callable[[], None]) -> None:
        """`on_change` is called when a person's word has sent messages on their way."""
        self._storage = storage
        self._desk = desk
        self._on_change = on_change

    async def run(self, now: datetime) -> datetime | None:
        """Start what fires, and take every escalation as far as it goes at `now`.

        Raises `Faults` once each had its turn.
        """
        with Barrier() as barrier:
            new = await self._storage.read(self._not_started)
            await barrier.each(new, partial(self._start, now=now), name=lambda episode: episode.episode_id)
            # Together behind one barrier: passing on a later one says that all before it were passed on.
            await barrier.each([now], self._pass_on, name=lambda _: "what playbooks have handed over")
            episodes = await self._storage.read(store.unfinished)
            due = await barrier.each(episodes, partial(self._advance, now=now), name=str)
        return min((instant for instant in due if instant is not None), default=None)

    async def _pass_on(self, now: datetime) -> None:
        """Tell people what playbooks have handed over to them."""
        up_to = await self._storage.read(store.handed_over_up_to)
        for entry in await self._storage.read(partial(incident_store.hand_overs, after_entry=up_to)):
            await self._storage.write(partial(self._hand_over, entry=entry, now=now))

    def _hand_over(self, conn: Connection, entry: TimelineEntry, now: datetime) -> None:
        for escalation in store.of_incident(conn, entry.incident):
            plan = self._plan(conn, escalation.episode_id, now)
            if plan is None or escalation.handed_over_up_to >= entry.entry_id:
                continue
            policy = self._desk.policy(conn, plan.subject)
            decision = decide.on_hand_over(policy, escalation, plan.facts, entry.text, now)
            after = _told_again(escalation, decision, up_to=entry.entry_id)
            store.change(conn, after)
            if decision.tells:
                self._desk.tell(conn, plan.subject, after, reason=entry.text, now=now)
            else:
                self._desk.follow_up(conn, plan.subject, Action.UPDATE, now, ("Handed over", entry.text))

    async def escalate(self, number: int, *, reason: str, now: datetime) -> None:
        """A person wants the next tier to hear of an incident now.

        Raises `NotFound` for an unknown incident, and `Conflict` when nobody is left to be told.
        """
        await self._storage.write(partial(self._escalate, number=number, reason=reason, now=now))
        self._on_change()

    def _escalate(self, conn: Connection, number: int, reason: str, now: datetime) -> None:
        incident_store.get(conn, number)
        told = False
        for episode_id in incident_store.episodes(conn, number):
            plan = self._plan(conn, episode_id, now)
            if plan is None or not plan.subject.is_firing or not self._has_next_tier(conn, plan):
                continue
            after = replace(plan.before, tier=plan.before.tier + 1, reason=reason)
            store.change(conn, after)
            self._desk.tell(conn, plan.subject, after, reason=reason, now=now)
            told = True
        if not told:
            raise Conflict(
                f"{incident_id(number)} has nobody left to be told: its alerts are over, or all were"
            )

    def _has_next_tier(self, conn: Connection, plan: _Plan) -> bool:
        return plan.before.tier + 1 < len(self._desk.policy(conn, plan.subject).tiers)

    async def _advance(self, episode_id: str, now: datetime) -> datetime | None:
        while True:
            plan = await self._storage.read(partial(self._plan, episode_id=episode_id, now=now))
            if plan is None or not plan.is_due:
                return None if plan is None else plan.decision.due_at
            await self._storage.write(partial(self._carry_out, episode_id=episode_id, now=now))

    def _not_started(self, conn: Connection) -> list[Episode]:
        """Firing episodes of which nobody has been told, in the order of their start."""
        return [
            episode
            for episode in episode_store.firing(conn)
            if self._desk.disturbs(episode.rule_id) and store.get(conn, episode.episode_id) is None
        ]

    async def _start(self, episode: Episode, now: datetime) -> None:
        await self._storage.write(partial(self._begin, episode=episode, now=now))

    def _begin(self, conn: Connection, episode: Episode, now: datetime) -> None:
        subject = Subject.of(alert_store.get(conn, episode.alert_id))
        if not subject.is_firing or subject.episode_id != episode.episode_id:
            return
        if store.get(conn, episode.episode_id) is not None:
            return
        incident = self._desk.incident(conn, subject)
        escalation = Escalation(
            episode_id=episode.episode_id,
            alert_id=episode.alert_id,
            policy=self._desk.policy(conn, subject).id,
            incident=None if incident is None else incident.number,
            state=EscalationState.ACTIVE,
            tier=0,
            round=0,
            due_at=now,
            started_at=now,
            reason="the alert fired",
        )
        store.start(conn, escalation)
        self._desk.tell(conn, subject, escalation, reason=escalation.reason, now=now)

    def _plan(self, conn: Connection, episode_id: str, now: datetime) -> _Plan | None:
        escalation = store.get(conn, episode_id)
        if escalation is None:
            return None
        row = Subject.of(alert_store.get(conn, escalation.alert_id))
        # The alert may fire anew by now; this escalation is about the episode before.
        is_firing = row.is_firing and row.episode_id == episode_id
        subject = replace(row, episode_id=episode_id, is_firing=is_firing)
        incident = self._desk.incident(conn, subject)
        deliveries = self._desk.deliveries(conn, subject)
        facts = Facts(
            is_firing=is_firing,
            incident_state=None if incident is None else incident.state,
            acknowledgement=row.acknowledgement if is_firing else None,
            tellings=tellings(deliveries, self._desk.routing),
        )
        decision = decide.decide(self._desk.policy(conn, subject), escalation, facts, now)
        return _Plan(
            subject=subject,
            before=escalation,
            after=_after(escalation, decision, None if incident is None else incident.number),
            decision=decision,
            facts=facts,
            news=self._news(conn, subject, deliveries) if is_firing else None,
        )

    def _carry_out(self, conn: Connection, episode_id: str, now: datetime) -> None:
        plan = self._plan(conn, episode_id, now)
        if plan is None or not plan.is_due:
            return
        store.change(conn, plan.after)
        if plan.decision.tells:
            self._desk.tell(conn, plan.subject, plan.after, reason=plan.decision.reason, now=now)
        elif plan.news is not None:
            self._desk.follow_up(conn, plan.subject, Action.UPDATE, now)
        if plan.decision.action is decide.Action.FINISH:
            self._take_back(conn, plan, now)

    def _take_back(self, conn: Connection, plan: _Plan, now: datetime) -> None:
        end = episode_store.end(conn, plan.before.episode_id)
        at, why = (now, plan.decision.reason) if end is None else (end.at, end.reason)
        after = words.length(at - plan.before.started_at)
        self._desk.follow_up(conn, plan.subject, Action.RESOLVE, now, ("Resolved", f"after {after}: {why}"))

    def _news(self, conn: Connection, subject: Subject, deliveries: list[Delivery]) -> str | None:
        """The probable cause, unless some message has told it."""
        cause = self._desk.probable_cause(conn, subject)
        is_told = any(delivery.message.probable_cause == cause for delivery in deliveries)
        was_updated = any(delivery.action is Action.UPDATE for delivery in deliveries)
        return None if is_told or was_updated or not self._desk.can_update(deliveries) else cause


def _told_again(escalation: Escalation, decision: Decision, *, up_to: int) -> Escalation:
    """After a hand-over: its state is the next look's to decide."""
    return replace(
        escalation,
        tier=escalation.tier + (decision.action is decide.Action.ADVANCE),
        round=escalation.round + (decision.action is decide.Action.REMIND),
        reason=decision.reason if decision.tells else escalation.reason,
        handed_over_up_to=up_to,
    )


def _after(escalation: Escalation, decision: Decision, incident: int | None) -> Escalation:
    is_advance = decision.action is decide.Action.ADVANCE
    is_reminder = decision.action is decide.Action.REMIND
    return replace(
        escalation,
        incident=incident,
        state=STATES[decision.action],
        tier=escalation.tier + is_advance,
        round=escalation.round + is_reminder,
        due_at=decision.due_at,
        reason=decision.reason,
    )
