"""What people are told of an alert. Notify gives it the form of each channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from kokino.incidents.rules import narrowed
from kokino.notify import text
from kokino.notify.model import Action, Link, Message, Severity

#: Labels and texts, one below the other.
Lines = tuple[tuple[str, str], ...]

#: Of many alerts that are told of together so many are named, in so many characters: a channel's line has
#: room for that, and nobody reads more at night.
NAMED, LONGEST_NAMES = 10, 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything that a message may tell."""

    severity: Severity
    #: ``Availability SLO Breach (agent reviewer)``.
    title: str
    rule_id: str
    #: Whose alert it is, and what tells it from others of the rule.
    owner: str
    labels: Mapping[str, str]
    #: Id of the playbook to follow; None where there is none.
    playbook: str | None
    #: What the rule measured when it last looked.
    measured: Mapping[str, Any]
    #: ``INC-7``; None for an alert that opens none.
    incident_id: str | None
    alert_id: str
    #: A sentence; None until a playbook has found it.
    probable_cause: str | None
    #: Where people reach the broker: ``https://kokino.example``.
    public_url: str
    #: Which installation says so.
    source: str
    #: Since when it fires.
    firing_at: datetime | None = None


def build(page: Page, *more: tuple[str, str]) -> Message:
    """The message of a page; `more` are lines of (label, text) below the figures."""
    is_of_slo = {"slo", "target", "budget_days"} <= page.measured.keys()
    message = _of_slo(page) if is_of_slo else _of_rule(page)
    told = replace(_known_by(page, message), summary=(*message.summary, *_about_incident(page, more)))
    return replace(told, text=text.whole(told, text.heading(Action.TRIGGER, told)))


def follow_up(page: Page, *lines: tuple[str, str], follows: Lines = ()) -> Message:
    """The message for what came after a page: `lines` alone, for the figures that it `follows` are told."""
    message = replace(_known_by(page, _of_rule(page)), summary=_about_incident(page, lines), follows=follows)
    return replace(message, text=text.whole(message, text.plain(message.headline)))


def named(titles: Sequence[str]) -> str:
    """The titles of alerts that are told of together, the first few of many."""
    kept: list[str] = []
    for title in titles[:NAMED]:
        if kept and len("; ".join([*kept, title])) > LONGEST_NAMES:
            break
        kept.append(text.shortened(title, LONGEST_NAMES))
    more = len(titles) - len(kept)
    return "; ".join([*kept, *([f"and {more} more"] if more else [])])


def _known_by(page: Page, message: Message) -> Message:
    return replace(message, owner=page.owner, labels=dict(page.labels), firing_at=page.firing_at)


def _of_slo(page: Page) -> Message:
    measured = page.measured
    breach = text.Breach(
        severity=page.severity,
        slo=str(measured["slo"]).capitalize(),
        current=measured.get("current"),
        target=measured["target"],
        window=timedelta(days=measured["budget_days"]),
        consumed=measured.get("budget_consumed") or 0.0,
        reason=_reason(page),
        probable_cause=page.probable_cause,
        dashboard_url=_dashboard(page).url,
        playbook_url=None if page.playbook is None else _playbook(page, page.playbook).url,
        rule=page.rule_id,
        whose=narrowed(page.labels),
    )
    return text.page(breach, source=page.source)


def _of_rule(page: Page) -> Message:
    links = (
        _dashboard(page),
        *(() if page.playbook is None else (_playbook(page, page.playbook),)),
        *((Link(text="Source", url=url),) if (url := page.measured.get("link")) else ()),
    )
    return Message(
        severity=page.severity,
        title=page.title,
        summary=(("Condition", _reason(page)),),
        links=links,
        source=page.source,
        probable_cause=page.probable_cause,
        group="kokino",
        rule=page.rule_id,
        details=dict(page.measured),
    )


def _about_incident(page: Page, lines: Lines) -> Lines:
    return lines if page.incident_id is None else (*lines, ("Incident", page.incident_id))


def _reason(page: Page) -> str:
    return text.plain(str(page.measured.get("reason") or page.rule_id))


def _dashboard(page: Page) -> Link:
    place = f"incidents/{page.incident_id}" if page.incident_id else f"alerts/{page.alert_id}"
    return Link(text="Dashboard", url=f"{page.public_url.rstrip('/')}/{place}")


def _playbook(page: Page, playbook: str) -> Link:
    return Link(text=text.RUNBOOK, url=f"{page.public_url.rstrip('/')}/playbooks/{playbook}")
