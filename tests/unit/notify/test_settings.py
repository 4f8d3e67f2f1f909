"""``[receivers.NAME]`` and ``[owners."@name"]``: read, found fault with, and routed by."""

from __future__ import annotations

from pathlib import Path

import pytest

from kokino.config import Faults, load
from kokino.errors import ConfigInvalid
from kokino.notify.model import Severity
from kokino.notify.settings import (
    AlertmanagerReceiver,
    LogReceiver,
    PagerDutyReceiver,
    Routing,
    SlackReceiver,
    read_routing,
)

ENV = {
    "HOOK": "https://hooks.example/services/T/B/X",
    "KEY": "k" * 32,
    "EMPTY": " ",
    "NO_URL": "canary-in-env",
}

WHOLE = """
[receivers.oncall]
type = "pagerduty"
routing_key_env = "KEY"

[receivers.headless]
type = "slack"
webhook_url_env = "HOOK"
channel = "#headless-alerts"

[receivers.critical]
type = "slack"
url = "http://127.0.0.1:9/hook"
channel = "#critical-alerts"

[receivers.journal]
type = "log"

[owners."@backend-team"]
receivers = ["headless", "oncall"]

[owners."@ops-team"]
receivers = ["journal"]
"""


def read(folder: Path, toml: str) -> Routing:
    """What the broker makes of it; raises with all faults."""
    (folder / "kokino.toml").write_text(toml, encoding="utf-8")
    faults = Faults()
    routing = read_routing(load(folder), faults, ENV)
    faults.raise_if_any()
    return routing


def faults_of(folder: Path, toml: str) -> list[str]:
    """All faults, as ``line: field: message``."""
    with pytest.raises(ConfigInvalid) as caught:
        read(folder, toml)
    return [f"{fault.line}: {fault.field}: {fault.message}" for fault in caught.value.faults]


def test_receivers_are_read_with_their_secrets_from_the_environment(tmp_path: Path) -> None:
    """The file names the variables, the broker reads them once, at its start."""
    assert read(tmp_path, WHOLE).receivers == {
        "oncall": PagerDutyReceiver(url="https://events.pagerduty.com", routing_key="k" * 32),
        "headless": SlackReceiver(webhook_url=ENV["HOOK"], channel="#headless-alerts"),
        "critical": SlackReceiver(webhook_url="http://127.0.0.1:9/hook", channel="#critical-alerts"),
        "journal": LogReceiver(),
    }


def test_no_secret_is_shown_when_settings_are(tmp_path: Path) -> None:
    """A traceback or a debug line that prints them prints no key."""
    shown = repr(read(tmp_path, WHOLE))
    assert ENV["HOOK"] not in shown
    assert ENV["KEY"] not in shown


@pytest.mark.parametrize(
    ("toml", "fault"),
    [
        pytest.param(
            '[receivers.a]\ntype = "slack"\nwebhook_url_env = "UNSET"',
            "3: receivers.a.webhook_url_env: names UNSET, which is not set in the broker's environment",
            id="a variable that is not there",
        ),
        pytest.param(
            '[receivers.a]\ntype = "pagerduty"\nrouting_key_env = "EMPTY"',
            "3: receivers.a.routing_key_env: names EMPTY, which is not set in the broker's environment",
            id="or empty",
        ),
        pytest.param(
            '[receivers.a]\ntype = "slack"\nwebhook_url_env = "NO_URL"',
            "3: receivers.a.webhook_url_env: names a variable whose value must be an address that starts "
            "with https:// or http://",
            id="or no address, and then it is not repeated",
        ),
        pytest.param(
            '[receivers.a]\ntype = "email"\nto = "x"',
            "2: receivers.a.type: 'email' is not in this version; known: slack, pagerduty, alertmanager, log",
            id="a type of a later version",
        ),
        pytest.param(
            '[receivers.a]\ntype = "slak"',
            "2: receivers.a.type: 'slak' is no type; known: slack, pagerduty, alertmanager, log",
            id="a type that never was",
        ),
        pytest.param(
            '[receivers.a]\nchannel = "#x"',
            "1: receivers.a.type: is missing; known: slack, pagerduty, alertmanager, log",
            id="no type",
        ),
        pytest.param(
            '[receivers.a]\ntype = "slack"',
            "1: receivers.a: needs one of webhook_url_env and url",
            id="a post to nowhere",
        ),
        pytest.param(
            '[receivers.a]\ntype = "slack"\nurl = "ftp://h"',
            "3: receivers.a.url: must be an address that starts with https:// or http://",
            id="an address of another kind",
        ),
        pytest.param(
            '[receivers.a]\ntype = "slack"\nwebhook_url_env = "HOOK"\ntoken_env = "T"',
            "4: receivers.a.token_env: is not in this version",
            id="a setting of a later version",
        ),
        pytest.param(
            '[receivers.a]\ntype = "pagerduty"\nrouting_key_evn = "KEY"\nrouting_key_env = "KEY"',
            "3: receivers.a.routing_key_evn: is no setting here; did you mean 'routing_key_env'?",
            id="a slip of the pen",
        ),
        pytest.param(
            '[receivers.log]\ntype = "slack"\nwebhook_url_env = "HOOK"',
            "1: receivers.log: is the log's own name: choose another",
            id="a name that is taken",
        ),
        pytest.param(
            '[receivers]\na = "slack"',
            "2: receivers.a: must be a table: [receivers.a]",
            id="no table",
        ),
        pytest.param(
            '[owners."@x"]\nreceivers = ["nobody"]',
            "2: owners.@x.receivers: 'nobody' is no receiver; known: log",
            id="an owner with a receiver that is not there",
        ),
    ],
)
def test_a_fault_names_its_line_and_what_would_be_right(tmp_path: Path, toml: str, fault: str) -> None:
    """Found at the start of the broker, not by the first page."""
    assert faults_of(tmp_path, toml) == [fault]


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    """A receiver with a fault is still a name that an owner may use."""
    toml = '[receivers.a]\ntype = "email"\n[receivers.b]\ntype = "x"\n[owners."@x"]\nreceivers = ["a", "c"]'
    assert [fault.split(":")[0] for fault in faults_of(tmp_path, toml)] == ["2", "4", "6"]


@pytest.mark.parametrize(
    ("owner", "severity", "channel", "receivers"),
    [
        pytest.param(
            "@backend-team", Severity.P1, "#headless-alerts", ("oncall", "headless"), id="P1 pages and posts"
        ),
        pytest.param("@backend-team", Severity.P2, "#headless-alerts", ("headless",), id="P2 posts"),
        pytest.param("@backend-team", Severity.P3, "#headless-alerts", ("headless",), id="P3 posts"),
        pytest.param(
            "@backend-team",
            Severity.P1,
            "#critical-alerts",
            ("oncall", "headless", "critical"),
            id="the rule's channel hears of it too, whoever owns it",
        ),
        pytest.param("@backend-team", Severity.P2, None, ("headless",), id="a rule without a channel"),
        pytest.param(
            "@ops-team", Severity.P1, "#ops-alerts", ("journal",), id="an owner whom nobody can page"
        ),
        pytest.param(
            "@eng-director",
            Severity.P1,
            "#critical-alerts",
            ("oncall", "headless", "critical", "journal"),
            id="an owner that was not written down has every receiver",
        ),
    ],
)
def test_routes(
    tmp_path: Path, owner: str, severity: Severity, channel: str | None, receivers: tuple[str, ...]
) -> None:
    """Paging receivers first, each receiver once."""
    assert read(tmp_path, WHOLE).receivers_for(owner, severity, channel) == receivers


@pytest.mark.parametrize("severity", list(Severity))
def test_without_any_receiver_the_log_carries_everything(tmp_path: Path, severity: Severity) -> None:
    """The default works with nothing set up."""
    assert read(tmp_path, "").receivers_for("@backend-team", severity, "#headless-alerts") == ("log",)


def test_a_post_that_would_reach_nobody_goes_to_the_log(tmp_path: Path) -> None:
    """An owner with nothing but a pager is not paged for a P2."""
    toml = '[receivers.oncall]\ntype = "pagerduty"\nrouting_key_env = "KEY"'
    assert read(tmp_path, toml).receivers_for("@backend-team", Severity.P2, None) == ("log",)


def test_an_alertmanager_is_told_by_all_its_addresses_and_keeps_a_password(tmp_path: Path) -> None:
    """It hears of every severity, as whoever posts does."""
    toml = """
    [receivers.prometheus]
    type = "alertmanager"
    urls = ["https://me:canary@am-1.example", "http://am-2.example:9093"]
    """
    routing = read(tmp_path, toml)
    assert routing.receivers["prometheus"] == AlertmanagerReceiver(
        urls=("https://me:canary@am-1.example", "http://am-2.example:9093")
    )
    assert "canary" not in repr(routing)
    assert routing.receivers_for("@backend-team", Severity.P3, None) == ("prometheus",)
    assert not routing.is_paging("prometheus")


@pytest.mark.parametrize("urls", ["[]", '["am.example:9093"]', '"http://am.example"'])
def test_an_alertmanager_needs_a_list_of_addresses(tmp_path: Path, urls: str) -> None:
    """The fault stands at the list."""
    [fault] = faults_of(tmp_path, f'[receivers.am]\ntype = "alertmanager"\nurls = {urls}')
    assert fault.startswith("3: receivers.am.urls")
    assert "address" in fault


def test_only_pagerduty_pages(tmp_path: Path) -> None:
    """A post or a line in a log wakes nobody."""
    routing = read(tmp_path, WHOLE)
    assert routing.paging == {"oncall"}
    assert not routing.is_paging("log")
