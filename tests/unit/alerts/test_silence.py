"""Which alerts a silence keeps quiet, and which silences cannot be made."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kokino.alerts.matcher import Matcher
from kokino.alerts.rulefile import packaged
from kokino.alerts.silence import Silence, faults_in, keeping_quiet

T = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
FACTS = {"alert": "alert-1", "rule": "lock-timeout", "severity": "P3", "agent": "build-7"}
SILENCE = Silence(
    silence_id="silence-1",
    matchers=(Matcher(name="rule", value="lock-timeout"),),
    comment="the build farm is moved",
    created_by="ada",
    created_at=T,
    ends_at=T + HOUR,
)


@pytest.mark.parametrize(
    ("matcher", "fits", "why"),
    [
        (Matcher(name="agent", value="build-7"), True, "the very label"),
        (Matcher(name="agent", value="build"), False, "a label is compared whole"),
        (Matcher(name="agent", value="build-.*", is_regex=True), True, "the expression fits the whole label"),
        (Matcher(name="agent", value="build", is_regex=True), False, "a part of it is not enough"),
        (Matcher(name="cli_type", value="gemini"), False, "it has no such label"),
        (Matcher(name="severity", value="P[23]", is_regex=True), True, "the rule's severity is a fact too"),
        (Matcher(name="severity", value="P1", is_equal=False), True, "any severity but this"),
        (Matcher(name="agent", value="build-.*", is_regex=True, is_equal=False), False, "it is one of those"),
    ],
)
def test_a_matcher_compares_whole_labels(matcher: Matcher, fits: bool, why: str) -> None:
    """As Alertmanager's do."""
    assert matcher.matches(FACTS) is fits, why


def test_all_matchers_of_a_silence_must_fit() -> None:
    """Each one narrows it."""
    narrow = replace(SILENCE, matchers=(*SILENCE.matchers, Matcher(name="agent", value="build-8")))
    assert SILENCE.fits(FACTS)
    assert not narrow.fits(FACTS)


@pytest.mark.parametrize(
    ("silence", "now", "is_quiet", "why"),
    [
        (SILENCE, T, True, "from the moment in which it was made"),
        (SILENCE, T + HOUR - timedelta(milliseconds=1), True, "until its end"),
        (SILENCE, T + HOUR, False, "a silence that ended keeps nothing back"),
        (replace(SILENCE, ended_at=T + HOUR / 2), T + HOUR / 2, False, "somebody took it back"),
    ],
)
def test_a_silence_lasts_until_its_end(silence: Silence, now: datetime, is_quiet: bool, why: str) -> None:
    """Or until somebody takes it back."""
    assert (keeping_quiet([silence], FACTS, now) is not None) is is_quiet, why


def test_of_two_silences_the_longer_one_is_told() -> None:
    """It says when people will hear of the alert."""
    longer = replace(SILENCE, silence_id="silence-2", ends_at=T + 2 * HOUR)
    assert keeping_quiet([SILENCE, longer], FACTS, T) == longer


@pytest.mark.parametrize(
    ("length", "before"), [(timedelta(days=1), timedelta(minutes=10)), (HOUR, timedelta(minutes=6))]
)
def test_its_end_is_told_ten_minutes_before_or_a_tenth_of_a_short_one(
    length: timedelta, before: timedelta
) -> None:
    """Early enough to make it anew."""
    silence = replace(SILENCE, ends_at=T + length)
    assert silence.notice_at == silence.ends_at - before


RULES = {rule.id: rule for rule in packaged()}


def faults(*matchers: Matcher, ends_at: datetime = T + HOUR) -> list[str]:
    """What is wrong with a silence, as a person reads it."""
    return [
        str(fault) for fault in faults_in(matchers, rules=RULES, now=T, ends_at=ends_at, longest=24 * HOUR)
    ]


def test_everything_that_is_wrong_with_a_silence_is_told_at_once() -> None:
    """A pattern that is none, an end that is past."""
    first, second = faults(Matcher(name="rule", value="(", is_regex=True), ends_at=T)
    assert first.startswith("matchers[0].value: is no regular expression (RE2): missing )")
    assert second == "endsAt: must lie ahead"


@pytest.mark.parametrize(
    "matcher",
    [
        pytest.param(Matcher(name="rule", value=".*", is_regex=True), id="fits all, and nothing"),
        pytest.param(Matcher(name="rule", value=".+", is_regex=True), id="fits all"),
        pytest.param(Matcher(name="rule", value="watchdog", is_equal=False), id="all that disturb anybody"),
        pytest.param(Matcher(name="agent", value="a", is_equal=False), id="all but what one agent does"),
    ],
)
def test_a_silence_of_everything_cannot_be_made(matcher: Matcher) -> None:
    """By whatever pattern."""
    assert faults(matcher) == [
        "matchers: fit every alert that anybody is told of: name one, or a rule, or a label that it has"
    ]


def test_a_silence_must_say_of_what() -> None:
    """None is all."""
    assert "a silence of everything is no silence" in faults()[0]


def test_all_alerts_of_a_severity_may_be_silenced() -> None:
    """It is a narrow one as long as there are others."""
    assert faults(Matcher(name="severity", value="P2")) == []


def test_a_silence_cannot_last_for_ever() -> None:
    """The setting that says how long is named."""
    [fault] = faults(Matcher(name="rule", value="x"), ends_at=T + 25 * HOUR)
    assert fault.startswith("endsAt: must be at most 1 days from now (alerting.longest_silence)")


def test_an_expression_takes_no_longer_than_its_text_is_long() -> None:
    """One that makes other engines try for years is answered: it could stop the whole broker."""
    matcher = Matcher(name="agent", value="(a+)+b", is_regex=True)
    assert faults(matcher) == []
    assert not matcher.matches({"agent": "a" * 128})
