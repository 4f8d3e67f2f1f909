"""Telling people: the outbox's rows for an alert and the timeline's entry, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import Connection

from kokino.alerts import episode_store
from kokino.alerts import rule as alert_rule
from kokino.alerts import store as alert_store
from kokino.alerts.rule import Inhibits
from kokino.escalation import message, store
from kokino.escalation.model import Escalation, Subject, dedup_key
from kokino.escalation.policy import Policies, Policy
from kokino.escalation.tellings import latest_figures, to_follow_up
from kokino.incidents import lessons
from kokino.incidents import store as incident_store
from kokino.incidents.model import BROKER, EntryKind, Incident
from kokino.incidents.rules import RuleFacts, title
from kokino.notify import store as outbox
from kokino.notify.model import Action, Delivery, Message, Severity
from kokino.notify.settings import Routing

#: More than one episode ever needs: tiers times rounds times receivers.
ALL = 10_000
#: Before a message that only names others that fire too: in a storm alerts come by the dozen within seconds.
#: Alertmanager's default for a group's first wait.
NEWS_EVERY = timedelta(seconds=30)


class EscalatedRule(RuleFacts, Protocol):
    """What an escalation takes over from an alert rule."""

    @property
    def channel(self) -> str | None:
        """Where its messages are posted beside its owners' own receivers: ``#headless-alerts``."""
        ...

    @property
    def playbook(self) -> str | None:
        """Id of the playbook to follow, if there is one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GoneRule:
    """What is left of a rule whose file is gone: enough to end what it began."""

    title: str
    severity: str
    owner: str
    playbook: str | None = None
    channel: str | None = None
    inhibits: tuple[Inhibits, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Everything that telling people needs and that does not change while the broker runs."""

    #: By rule id.
    rules: Mapping[str, EscalatedRule]
    policies: Policies
    routing: Routing
    #: Begins every dedup key: two installations never take back each other's pages.
    installation: str
    #: ``server.public_url``.
    public_url: str

    def disturbs(self, rule_id: str) -> bool:
        """True for a rule that somebody has to hear of; one that is gone disturbs nobody anew."""
        rule = self.rules.get(rule_id)
        return rule is not None and str(rule.severity) != alert_rule.Severity.NONE

    def policy(self, conn: Connection, subject: Subject) -> Policy:
        """The chain for an alert."""
        rule = self.rule(conn, subject)
        return self.policies.policy_for(
            subject.rule_id, severity=Severity(str(rule.severity)), owner=rule.owner
        )

    def rule(self, conn: Connection, subject: Subject) -> EscalatedRule:
        """An alert's rule; one that is gone is remembered by its incident, which only a P3 has none of.

        One that disturbs nobody any more is as good as gone to those whom it has disturbed.
        """
        known = self.rules.get(subject.rule_id)
        if known is not None and self.disturbs(subject.rule_id):
            return known
        incident = self.incident(conn, subject)
        return GoneRule(
            title=subject.rule_id,
            severity=Severity.P3 if incident is None else incident.severity,
            owner="" if incident is None else incident.owner,
        )

    def tell(
        self,
        conn: Connection,
        subject: Subject,
        escalation: Escalation,
        *,
        reason: str,
        now: datetime,
        also: Sequence[Subject] = (),
    ) -> None:
        """Tell the tier that `escalation` stands at, in its round; `also` fire with it."""
        rule = self.rule(conn, subject)
        owner = self.policy(conn, subject).tiers[escalation.tier].owner
        receivers = self.routing.receivers_for(owner, Severity(str(rule.severity)), rule.channel)
        is_first = escalation.tier == 0 and escalation.round == 0
        escalated = () if is_first else (("Escalated", f"to {owner}: {reason}"),)
        others = (("Also firing", self._named(conn, also)),) if also else ()
        content = message.build(self._page(conn, subject), *escalated, *others)
        key = dedup_key(self.installation, escalation.episode_id, escalation.tier, escalation.round)
        self._enqueue(conn, subject, [(name, key) for name in receivers], Action.TRIGGER, content, now=now)
        self._note_told_with(conn, subject, also, now=now)
        if escalation.incident is not None:
            incident_store.append(
                conn,
                escalation.incident,
                at=now,
                kind=EntryKind.PAGED if is_first else EntryKind.ESCALATED,
                author=BROKER,
                text=self._told(owner, receivers, reason="" if is_first else reason),
                data={"tier": escalation.tier, "round": escalation.round, "receivers": list(receivers)},
            )

    def tell_also(
        self, conn: Connection, first: Escalation, others: Sequence[Subject], *, now: datetime
    ) -> None:
        """Tell those who were told of `first` that `others` fire too."""
        told = self._of(conn, first)
        self.follow_up(conn, told, Action.UPDATE, now, ("Also firing", self._named(conn, others)))
        self._note_told_with(conn, told, others, now=now)

    def news_at(self, conn: Connection, first: Escalation) -> datetime:
        """When those who were told of `first` may hear of others: a while after they last heard anything."""
        sent = self.deliveries(conn, self._of(conn, first))
        return max(one.queued_at for one in sent) + NEWS_EVERY if sent else first.started_at

    def follow_up(
        self, conn: Connection, subject: Subject, action: Action, now: datetime, *lines: tuple[str, str]
    ) -> None:
        """Tell everybody who was told of this episode how it went on."""
        sent = self.deliveries(conn, subject)
        content = message.follow_up(self._page(conn, subject), *lines, follows=latest_figures(sent))
        told = to_follow_up(sent, self.routing)
        if action is Action.UPDATE:
            # Paging receivers have woken their person already; news is for those who read.
            told = [(receiver, key) for receiver, key in told if not self.routing.is_paging(receiver)]
        self._enqueue(conn, subject, told, action, content, now=now)

    def deliveries(self, conn: Connection, subject: Subject) -> list[Delivery]:
        """Everything that was sent, or waits to be, for the alert's episode."""
        return outbox.deliveries(conn, episode_id=subject.episode_id, limit=ALL)

    def can_update(self, deliveries: Sequence[Delivery]) -> bool:
        """True when somebody was told by a receiver that takes news."""
        return any(not self.routing.is_paging(name) for name, _ in to_follow_up(deliveries, self.routing))

    def probable_cause(self, conn: Connection, subject: Subject) -> str | None:
        """What the playbook found for the alert's incident."""
        incident = self.incident(conn, subject)
        if incident is None:
            return None
        found = lessons.latest_pattern(incident_store.entries(conn, incident.number))
        return found.cause if found is not None and found.pattern is not None else None

    def incident(self, conn: Connection, subject: Subject) -> Incident | None:
        """The incident that covers the alert's episode."""
        return None if subject.episode_id is None else incident_store.of_episode(conn, subject.episode_id)

    def _note_told_with(
        self, conn: Connection, first: Subject, others: Sequence[Subject], *, now: datetime
    ) -> None:
        """Whoever reads the incident of one that is told of with `first` finds out who was told."""
        new = store.told_of(conn, (one.episode_id for one in others if one.episode_id is not None))
        with_it = self._named(conn, [first])
        told = (self.incident(conn, one) for one in others if one.episode_id in new)
        for incident in filter(None, told):
            incident_store.append(
                conn,
                incident.number,
                at=now,
                kind=EntryKind.PAGED,
                author=BROKER,
                text=f"Told of together with {with_it}",
            )

    def _of(self, conn: Connection, escalation: Escalation) -> Subject:
        """The alert of an escalation, in the episode that this is about."""
        return replace(
            Subject.of(alert_store.get(conn, escalation.alert_id)), episode_id=escalation.episode_id
        )

    def _named(self, conn: Connection, subjects: Sequence[Subject]) -> str:
        """The titles of some alerts, the first few of many."""
        return message.named([title(self.rule(conn, one).title, one.labels) for one in subjects])

    def _page(self, conn: Connection, subject: Subject) -> message.Page:
        rule = self.rule(conn, subject)
        incident = self.incident(conn, subject)
        begun = None if subject.episode_id is None else episode_store.start(conn, subject.episode_id)
        return message.Page(
            severity=Severity(str(rule.severity)),
            title=title(rule.title, subject.labels),
            rule_id=subject.rule_id,
            owner=rule.owner,
            labels=subject.labels,
            playbook=rule.playbook,
            measured=subject.measured,
            incident_id=None if incident is None else incident.id,
            alert_id=subject.alert_id,
            probable_cause=self.probable_cause(conn, subject),
            public_url=self.public_url,
            source=self.installation,
            firing_at=None if begun is None else begun.at,
        )

    def _enqueue(
        self,
        conn: Connection,
        subject: Subject,
        told: Sequence[tuple[str, str]],
        action: Action,
        content: Message,
        *,
        now: datetime,
    ) -> None:
        incident = self.incident(conn, subject)
        for receiver, key in told:
            outbox.enqueue(
                conn,
                receiver=receiver,
                action=action,
                dedup_key=key,
                message=content,
                now=now,
                episode_id=subject.episode_id,
                incident=None if incident is None else incident.number,
            )

    def _told(self, owner: str, receivers: Sequence[str], *, reason: str) -> str:
        pages = [name for name in receivers if self.routing.is_paging(name)]
        posts = [name for name in receivers if not self.routing.is_paging(name)]
        ways = [f"paged by {', '.join(pages)}"] * bool(pages) + [f"told by {', '.join(posts)}"] * bool(posts)
        return f"{owner} {' and '.join(ways)}" + (f": {reason}" if reason else "")
