"""The database and a timeline of the same events give the same look, for every rule."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kokino.alerts.look import alert_labels, look, unseen
from kokino.alerts.model import Alert, fingerprint
from kokino.alerts.rule import AlertRule
from kokino.alerts.rulefile import packaged
from kokino.alerts.stored import Stored
from kokino.alerts.timeline import Timeline
from kokino.clock import MILLISECOND
from kokino.slo.defaults import defaults
from tests.alert_streams import INSTANTS, STREAMS, Told, generated_rules, running, write
from tests.empty_database import empty_database

LOOKS = st.lists(INSTANTS, min_size=1, max_size=5, unique=True).map(sorted)


def compare(rule: AlertRule, stream: Sequence[Told], instants: Sequence[datetime]) -> None:
    """Look at the same instants at what is known by then, in both ways."""
    alerts: dict[str, Alert] = {}
    with empty_database() as conn:
        written = 0
        for now in instants:
            known = [told.event for told in stream if told.at <= now]
            for event in known[written:]:
                write(conn, event)
            written = len(known)
            stored = Stored(conn, partial(running, known))
            timeline = Timeline(known)
            bearers = stored.bearers(rule, now + MILLISECOND)
            assert bearers == timeline.bearers(rule, now + MILLISECOND)
            for labels in bearers:
                key = fingerprint(rule.id, alert_labels(rule, labels))
                alert = alerts.get(key) or unseen(rule, labels, now=now, alert_id=key)
                found, rehearsed = (
                    look(rule, defaults(), alert, source, now=now, episode_id=f"episode at {now}")
                    for source in (stored, timeline)
                )
                assert found == rehearsed
                alerts[key] = found.reaction.alert


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule.id) for rule in packaged()])
@settings(max_examples=15)
@given(stream=STREAMS, instants=LOOKS)
def test_a_rehearsal_sees_what_the_database_sees(
    rule: AlertRule, stream: list[Told], instants: list[datetime]
) -> None:
    """Whatever happened, was told late or still runs: the same verdict, reaction and due instant."""
    compare(rule, stream, instants)


@settings(max_examples=100)
@given(rule=generated_rules(), stream=STREAMS, instants=LOOKS)
def test_so_it_does_for_rules_that_nobody_has_written_yet(
    rule: AlertRule, stream: list[Told], instants: list[datetime]
) -> None:
    """Every kind of condition, with and without a gate, one alert or one for each agent or CLI type."""
    compare(rule, stream, instants)
