"""The engine's module that starts, advances and ends escalations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from kokino.alerts import episode_store
from kokino.alerts import store as alert_store
from kokino.alerts.episode import Episode
from kokino.barrier import Barrier
from kokino.errors import Conflict
from kokino.escalation import decide, store
from kokino.escalation import plan as planning
from kokino.escalation.desk import Desk
from kokino.escalation.model import EscalationState, Subject
from kokino.escalation.plan import Plan, told_again
from kokino.incidents import store as incident_store
from kokino.incidents import words
from kokino.incidents.model import TimelineEntry, incident_id
from kokino.notify.model import Action
from kokino.storage import Storage

#: States in which people hear of what happens.
TELLING = frozenset({EscalationState.ACTIVE, EscalationState.HELD})


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
            joined = await self._storage.read(store.untold)
            news = await barrier.each(joined, partial(self._tell_also, now=now), name=str)
        return min((instant for instant in (*due, *news) if instant is not None), default=None)

    async def _tell_also(self, episode_id: str, now: datetime) -> datetime | None:
        """Tell of what has joined an episode since people heard of it; when, where that was just now."""
        return await self._storage.write(partial(self._tell_of_joined, episode_id=episode_id, now=now))

    def _tell_of_joined(self, conn: Connection, episode_id: str, now: datetime) -> datetime | None:
        first = store.get(conn, episode_id)
        if first is None or first.state not in TELLING:
            return None  # once it is told of again, they are too
        due_at = self._desk.news_at(conn, first)
        if due_at > now:
            return due_at
        # Half a minute is long enough for a silence, or for an alert that inhibits some of them.
        plans = [planning.make(conn, self._desk, one, now) for one in store.untold(conn).get(episode_id, ())]
        waiting = [plan for plan in plans if plan is not None and plan.facts.is_firing]
        if others := [plan.subject for plan in waiting if plan.facts.quiet is None]:
            self._desk.tell_also(conn, first, others, now=now)
        ends = (plan.facts.quiet.ends_at for plan in waiting if plan.facts.quiet is not None)
        return min((end for end in ends if end is not None), default=None)

    async def _pass_on(self, now: datetime) -> None:
        """Tell people what playbooks have handed over to them."""
        up_to = await self._storage.read(store.handed_over_up_to)
        for entry in await self._storage.read(partial(incident_store.hand_overs, after_entry=up_to)):
            await self._storage.write(partial(self._hand_over, entry=entry, now=now))

    def _hand_over(self, conn: Connection, entry: TimelineEntry, now: datetime) -> None:
        for own in store.of_incident(conn, entry.incident):
            escalation = store.leading(conn, own)
            # Entries are passed on in their order: one that leads for two of an incident hears it once.
            if entry.entry_id <= max(own.handed_over_up_to, escalation.handed_over_up_to):
                continue
            store.change(conn, replace(own, handed_over_up_to=entry.entry_id))
            plan = planning.make(conn, self._desk, escalation.episode_id, now)
            if plan is None:
                continue
            policy = self._desk.policy(conn, plan.subject)
            decision = decide.on_hand_over(policy, escalation, plan.facts, entry.text, now)
            after = told_again(escalation, decision, up_to=entry.entry_id)
            store.change(conn, after)
            if decision.tells:
                self._desk.tell(conn, plan.subject, after, reason=entry.text, now=now, also=plan.also)
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
        told = [self._tell_next(conn, leader, reason, now) for leader in self._leaders(conn, number)]
        if not any(told):
            raise Conflict(
                f"{incident_id(number)} has nobody left to be told: its alerts are over, or all were"
            )

    def _leaders(self, conn: Connection, number: int) -> list[str]:
        """The episodes whose messages tell of an incident's alerts, each once: one may lead for several."""
        own = (store.get(conn, episode_id) for episode_id in incident_store.episodes(conn, number))
        return list(dict.fromkeys(store.leading(conn, one).episode_id for one in own if one is not None))

    def _tell_next(self, conn: Connection, episode_id: str, reason: str, now: datetime) -> bool:
        """Tell the next tier, where there is one and the alert fires."""
        plan = planning.make(conn, self._desk, episode_id, now)
        if plan is None or not plan.facts.is_firing or not self._has_next_tier(conn, plan):
            return False
        after = replace(plan.before, tier=plan.before.tier + 1, reason=reason)
        store.change(conn, after)
        self._desk.tell(conn, plan.subject, after, reason=reason, now=now, also=plan.also)
        return True

    def _has_next_tier(self, conn: Connection, plan: Plan) -> bool:
        return plan.before.tier + 1 < len(self._desk.policy(conn, plan.subject).tiers)

    async def _advance(self, episode_id: str, now: datetime) -> datetime | None:
        while True:
            plan = await self._storage.read(
                partial(planning.make, desk=self._desk, episode_id=episode_id, now=now)
            )
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
        alert = alert_store.get(conn, episode.alert_id)
        subject = Subject.of(alert)
        if not subject.is_firing or subject.episode_id != episode.episode_id:
            return
        if store.get(conn, episode.episode_id) is not None:
            return
        escalation = planning.begin(conn, self._desk, alert, now)
        store.start(conn, escalation)
        if escalation.state is EscalationState.ACTIVE:
            self._desk.tell(conn, subject, escalation, reason=escalation.reason, now=now)

    def _carry_out(self, conn: Connection, episode_id: str, now: datetime) -> None:
        plan = planning.make(conn, self._desk, episode_id, now)
        if plan is None or not plan.is_due:
            return
        store.change(conn, plan.after)
        if plan.decision.tells:
            self._desk.tell(
                conn, plan.subject, plan.after, reason=plan.decision.reason, now=now, also=plan.also
            )
        elif plan.news is not None:
            self._desk.follow_up(conn, plan.subject, Action.UPDATE, now)
        if plan.decision.action is decide.Action.FINISH:
            self._take_back(conn, plan, now)

    def _take_back(self, conn: Connection, plan: Plan, now: datetime) -> None:
        end = episode_store.end(conn, plan.before.episode_id)
        at, why = (now, plan.decision.reason) if end is None else (end.at, end.reason)
        others = len(store.joined(conn, plan.before.episode_id))
        too = f", and {others} more with it" if others else ""
        said = f"after {words.length(at - plan.before.started_at)}{too}: {why}"
        self._desk.follow_up(conn, plan.subject, Action.RESOLVE, now, ("Resolved", said))
