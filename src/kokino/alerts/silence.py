"""Silences: for a while some alerts tell nobody. Which ones, until when: pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from kokino.alerts.matcher import Matcher
from kokino.alerts.model import Alert
from kokino.errors import Fault

#: Beside an alert's own labels a matcher may name these.
FACTS = ("alert", "rule", "severity", "owner")
#: How long before its end those who were told of an alert hear that its silence ends; of a short one a tenth.
NOTICE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Alerts that all matchers fit tell nobody until it ends."""

    silence_id: str
    matchers: tuple[Matcher, ...]
    #: Why, for those who wonder.
    comment: str
    created_by: str
    created_at: datetime
    #: It ends then at the latest.
    ends_at: datetime
    #: It also ends as soon as no alert that it fits fires any more.
    until_resolved: bool = False
    #: When it was ended, by a person or because what it was for is resolved.
    ended_at: datetime | None = None
    #: When people were told that it is about to end.
    noticed_at: datetime | None = None

    def is_active(self, now: datetime) -> bool:
        """True while it keeps alerts quiet."""
        return self.ended_at is None and now < self.ends_at

    def fits(self, facts: Mapping[str, str]) -> bool:
        """True for an alert with these facts."""
        return all(matcher.matches(facts) for matcher in self.matchers)

    @property
    def notice_at(self) -> datetime:
        """When those who were told hear that it ends."""
        return self.ends_at - min(NOTICE, (self.ends_at - self.created_at) / 10)

    @property
    def words(self) -> str:
        """``rule=latency-slo-breach, agent=~build-.*``."""
        return ", ".join(map(str, self.matchers))


class Owned(Protocol):
    """A rule, as far as matchers name it."""

    @property
    def severity(self) -> str:
        """``P1``, ``P2`` or ``P3``."""
        ...

    @property
    def owner(self) -> str:
        """``@backend-team``."""
        ...


def facts_of(alert: Alert, rule: Owned | None) -> dict[str, str]:
    """What matchers can name of an alert; its own labels never hide what identifies it."""
    named = {"alert": alert.alert_id, "rule": alert.rule_id}
    of_rule = {} if rule is None else {"severity": str(rule.severity), "owner": rule.owner}
    return {**alert.labels, **of_rule, **named}


def keeping_quiet(silences: Iterable[Silence], facts: Mapping[str, str], now: datetime) -> Silence | None:
    """Of the silences that fit, the one that lasts longest."""
    fitting = [silence for silence in silences if silence.is_active(now) and silence.fits(facts)]
    return max(fitting, key=lambda silence: silence.ends_at, default=None)


def faults_in(
    matchers: Sequence[Matcher],
    *,
    rules: Mapping[str, Owned],
    now: datetime,
    ends_at: datetime,
    longest: timedelta,
) -> Iterator[Fault]:
    """What is wrong with a silence that somebody asks for, where these are the rules."""
    if not matchers:
        yield Fault(field="matchers", message="must hold at least one: a silence of everything is no silence")
    wrong = {number: fault for number, one in enumerate(matchers) if (fault := one.fault())}
    for number, message in wrong.items():
        yield Fault(field=f"matchers[{number}].value", message=message)
    if matchers and not wrong and _is_of_everything(matchers, rules):
        message = "fit every alert that anybody is told of: name one, or a rule, or a label that it has"
        yield Fault(field="matchers", message=message)
    if ends_at <= now:
        yield Fault(field="endsAt", message="must lie ahead")
    if ends_at - now > longest:
        days = longest / timedelta(days=1)
        message = f"must be at most {days:g} days from now (alerting.longest_silence); it can be made anew"
        yield Fault(field="endsAt", message=message)


def _is_of_everything(matchers: Sequence[Matcher], rules: Mapping[str, Owned]) -> bool:
    """True where alerts of all rules fit that disturb anybody, whatever their labels."""
    named = (
        {"alert": "", "rule": rule_id, "severity": str(rule.severity), "owner": rule.owner}
        for rule_id, rule in rules.items()
        if str(rule.severity) != "none"
    )
    return all(matcher.matches(facts) for facts in named for matcher in matchers)
