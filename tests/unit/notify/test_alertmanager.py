"""The labels that an Alertmanager knows an alert by."""

from __future__ import annotations

from dataclasses import replace

from kokino.notify.channels.alertmanager import labels
from tests.unit.notify.test_payloads import DELIVERY, MESSAGE


def sent(own: dict[str, str]) -> dict[str, str]:
    """What becomes of an alert's own labels, beside ours."""
    ours = labels(DELIVERY)
    message = replace(MESSAGE, labels=own)
    found = labels(replace(DELIVERY, message=message))
    assert found.items() >= ours.items()
    return {name: value for name, value in found.items() if name not in ours}


def test_names_that_no_alertmanager_takes_are_written_so_that_it_does() -> None:
    """A digit is never first."""
    assert sent({"team": "a", "1st": "b", "größe": "c"}) == {"team": "a", "_1st": "b", "gr__e": "c"}


def test_no_label_is_lost_to_another_one() -> None:
    """One that is valid keeps its name; the order in which they came makes no difference."""
    own = {"team.a": "3", "team-a": "2", "team_a": "1"}
    expected = {"team_a": "1", "exported_team_a": "2", "exported_exported_team_a": "3"}
    assert sent(own) == sent(dict(reversed(own.items()))) == expected


def test_no_label_is_lost_to_ours() -> None:
    """An alert of others has a name and a severity too."""
    assert sent({"alertname": "DiskFull", "severity": "critical"}) == {"exported_alertname": "DiskFull"}
