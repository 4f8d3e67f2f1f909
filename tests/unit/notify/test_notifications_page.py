"""The page on notifications shows what is really sent, and settings that are really read."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kokino.config import Faults, load
from kokino.notify.channels import alertmanager, pagerduty, slack
from kokino.notify.model import Action, Delivery, DeliveryState, Severity
from kokino.notify.retry import FIRST_CEILING, GIVE_UP_AFTER, LAST_CEILING
from kokino.notify.settings import LATER_TYPES, read_routing
from kokino.notify.text import Breach, page

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "notifications.md").read_text(encoding="utf-8")
ROUTING_KEY = "<the value of PAGERDUTY_ROUTING_KEY>"
QUEUED_AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
BREACH = Breach(
    severity=Severity.P1,
    slo="Availability",
    current=0.982,
    target=0.995,
    window=timedelta(days=30),
    consumed=0.45,
    reason="availability under 99% over 1 h",
    probable_cause="the login of claude-code expired",
    dashboard_url="http://127.0.0.1:5050/",
    playbook_url="http://127.0.0.1:5050/playbooks/availability-slo-breach",
    rule="availability-slo-breach",
)


def delivery(action: Action) -> Delivery:
    """The page that the examples tell of."""
    return Delivery(
        delivery_id=17,
        receiver="oncall",
        action=action,
        dedup_key="kokino-1:0b6d8f1e-7c07-4a53-9d5b-3f6f3a0c2b11:t0:r0",
        message=page(BREACH, source="kokino-1"),
        state=DeliveryState.LEASED,
        attempts=1,
        queued_at=QUEUED_AT,
        due_at=QUEUED_AT,
    )


def of_alert(action: Action) -> Delivery:
    """The same with what tells its alert from others."""
    told = delivery(action)
    message = replace(told.message, owner="@backend-team", labels={"slo": "availability"})
    episode = "0b6d8f1e-7c07-4a53-9d5b-3f6f3a0c2b11"
    at = QUEUED_AT + timedelta(minutes=42) if action is Action.RESOLVE else QUEUED_AT
    return replace(told, message=message, episode_id=episode, queued_at=at)


def blocks(language: str, below: str) -> list[str]:
    """The fenced blocks of one language under one heading."""
    section = PAGE.split(f"\n## {below}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(rf"```{language}\n(.*?)```", section, flags=re.DOTALL)


@pytest.mark.parametrize(
    ("heading", "sent"),
    [
        pytest.param(
            "What PagerDuty gets",
            [
                pagerduty.event(delivery(Action.TRIGGER), ROUTING_KEY),
                pagerduty.event(delivery(Action.RESOLVE), ROUTING_KEY),
            ],
            id="pagerduty",
        ),
        pytest.param("What Slack gets", [slack.payload(delivery(Action.TRIGGER))], id="slack"),
        pytest.param(
            "What an Alertmanager gets",
            [
                [alertmanager.alert(of_alert(Action.TRIGGER), QUEUED_AT)],
                [alertmanager.alert(of_alert(Action.RESOLVE), QUEUED_AT + timedelta(minutes=42))],
            ],
            id="alertmanager",
        ),
    ],
)
def test_the_examples_are_what_is_sent(heading: str, sent: list[dict[str, Any]]) -> None:
    """To the last field."""
    assert [json.loads(block) for block in blocks("json", heading)] == sent


def test_the_text_of_the_example_is_the_text_of_a_page() -> None:
    """As the log shows it."""
    [shown] = blocks("text", "The text of a page")
    assert shown.strip() == page(BREACH, source="kokino-1").text


def test_the_settings_of_the_example_are_read_without_a_fault(tmp_path: Path) -> None:
    """And page and post as the page says."""
    [toml] = blocks("toml", "Setting it up")
    (tmp_path / "kokino.toml").write_text(toml, encoding="utf-8")
    faults = Faults()
    env = {
        "PAGERDUTY_ROUTING_KEY": "k" * 32,
        "SLACK_HEADLESS_WEBHOOK": "https://hooks.slack.com/services/T/B/X",
    }
    routing = read_routing(load(tmp_path), faults, env)
    faults.raise_if_any()
    assert routing.receivers_for("@backend-team", Severity.P1, "#headless-alerts") == ("oncall", "headless")
    assert routing.receivers_for("@backend-team", Severity.P2, "#headless-alerts") == ("headless",)


def test_the_page_names_the_numbers_and_types_of_the_code() -> None:
    """Who changes one of them is sent to the page."""
    seconds, minutes = FIRST_CEILING // timedelta(seconds=1), LAST_CEILING // timedelta(minutes=1)
    assert f"from {seconds} s to {minutes} min" in PAGE
    assert f"after {GIVE_UP_AFTER // timedelta(hours=1)} hours" in PAGE
    assert all(f"`{name}`" in PAGE for name in LATER_TYPES)


def test_every_state_of_a_delivery_is_explained() -> None:
    """In the table of states."""
    table = PAGE.split("| State | Means |", 1)[1].split("\n\n", 1)[0]
    assert re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE) == [
        state.value for state in DeliveryState
    ]
