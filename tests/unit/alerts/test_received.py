"""What is news of an alert that an Alertmanager tells of."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kokino.alerts.received import Told, news
from kokino.alerts.rule import AlertRule
from kokino.alerts.rulefile import packaged, read_rule
from kokino.errors import Fault

T = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
FIRES = Told(labels={"alertname": "DiskFull"}, is_firing=True, since=T, at=T, summary="97 % full")
OVER = replace(FIRES, is_firing=False)
RULE = """apiVersion: kokino/v1
kind: AlertRule
id: mine
title: Mine
severity: P3
owner: "@backend-team"
conditions:
  - {id: firing, kind: received, matches: [team=db]}
resolve: {kind: quiet}
"""


@pytest.mark.parametrize(
    ("known", "said", "is_news"),
    [
        pytest.param(None, FIRES, True, id="it begins"),
        pytest.param(None, OVER, False, id="it is over, and nobody had heard of it"),
        pytest.param(FIRES, OVER, True, id="it ends"),
        pytest.param(OVER, OVER, False, id="it is over, and was"),
        pytest.param(OVER, FIRES, True, id="it begins again"),
        pytest.param(FIRES, replace(FIRES, at=T + HOUR - MINUTE), False, id="it still fires"),
        pytest.param(FIRES, replace(FIRES, at=T + HOUR), True, id="it still fires after an hour"),
    ],
)
def test_what_is_news_is_noted(known: Told | None, said: Told, is_news: bool) -> None:
    """And nothing else, for a group is sent again whenever anything in it changes."""
    assert (news(known, said) is not None) == is_news


def test_a_clock_that_was_set_back_makes_nothing_old() -> None:
    """The end is dated no earlier than the beginning."""
    told = news(FIRES, replace(OVER, at=T - HOUR))
    assert told is not None
    assert told.at == T


def test_every_severity_has_one_rule_but_that_of_a_watchdog() -> None:
    """Whoever sends an alert is heard once."""

    def fitting(labels: dict[str, str]) -> list[str]:
        return [rule.id for rule in packaged() if rule.received is not None and rule.received.fits(labels)]

    assert fitting({"severity": "critical"}) == ["alertmanager-critical"]
    assert fitting({"severity": "warning"}) == ["alertmanager-warning"]
    assert fitting({"severity": "page"}) == fitting({"alertname": "x"}) == ["alertmanager-other"]
    assert fitting({"alertname": "Watchdog", "severity": "none"}) == []


def faults_of(text: str) -> list[str]:
    """What a rule file is refused for."""
    faults: list[Fault] = []
    read_rule("mine.yaml", text, faults)
    return [f"{fault.line}: {fault.field}: {fault.message}" for fault in faults]


def test_the_rule_of_these_tests_is_one() -> None:
    """What is said of the others is about what is changed in them."""
    assert faults_of(RULE) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("team=db", "team", "is no matcher"),
        ("team=db", "'team=~('", "is no regular expression"),
        ("[team=db]", "[]", "must hold at least one"),
        ("[team=db]", "[team=db], expires: 1h", "must be at least 2h"),
        ("kind: quiet", "kind: mean, below: 1, window: 5m", "must be quiet"),
        ("resolve:", "by: [agent]\nresolve:", "cannot be of a rule about alerts of others"),
        ("resolve:", "slo: availability\nresolve:", "cannot be of a rule about alerts of others"),
        ("resolve:", "labels: {team: db}\nresolve:", "the labels that they came with"),
        ("resolve:", "  - {id: always, kind: always}\nresolve:", "must stand alone"),
    ],
)
def test_what_cannot_be_is_refused(old: str, new: str, said: str) -> None:
    """With its line."""
    faults = faults_of(RULE.replace(old, new))
    assert any(said in fault for fault in faults), faults
    assert not any(fault.startswith("None") for fault in faults)


def test_an_alert_has_its_own_labels_and_no_others() -> None:
    """So matchers of a silence find what was sent."""
    rule = read_rule("mine.yaml", RULE, [])
    assert isinstance(rule, AlertRule)
    assert rule.received is not None
    assert not rule.received.fits({"team": "web"})
    assert rule.received.fits({"team": "db", "instance": "db-1"})
