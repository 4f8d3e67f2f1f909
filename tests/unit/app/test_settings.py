"""The whole configuration, checked at once, and what agents inherit of our environment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kokino.app.settings import Checked, check, database_url, inherited
from kokino.config import FILE_NAME, load
from kokino.errors import ConfigInvalid

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
Read = Callable[[str], Checked]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Checks a file's text."""

    def of(text: str) -> Checked:
        (tmp_path / FILE_NAME).write_text(text, encoding="utf-8")
        return check(load(tmp_path), {}, now=NOW)

    return of


def test_an_empty_file_is_a_whole_configuration(read: Read) -> None:
    """Loopback, port 5050, 20 s to drain, 30 s to hold."""
    checked = read("")
    assert (checked.server.host, checked.server.port) == ("127.0.0.1", 5050)
    assert (checked.server.drain, checked.process.hold) == (timedelta(seconds=20), timedelta(seconds=30))
    assert checked.server.auth == "local"
    assert checked.agents == ()


def test_control_groups_are_used_unless_the_file_says_no(read: Read) -> None:
    """Where one is delegated; there is no third way."""
    assert read("").process.may_use_cgroup
    assert not read('[process]\ncgroup = "off"').process.may_use_cgroup
    with pytest.raises(ConfigInvalid) as caught:
        read('[process]\ncgroup = "always"')
    assert [(fault.line, fault.field) for fault in caught.value.faults] == [(2, "process.cgroup")]


def test_events_are_kept_for_longer_than_the_longest_window(read: Read) -> None:
    """90 days unless the file says otherwise; what would cut a window of 30 days is refused."""
    kept = read('[storage]\nkeep_events = "45d"').storage
    assert (kept.keep_events, kept.keep_rollups) == (timedelta(days=45), timedelta(days=400))
    with pytest.raises(ConfigInvalid) as caught:
        read('[storage]\nkeep_events = "30d"\nkeep_rollups = "1e9d"\nkeep_history = "99999999d"')
    assert [fault.field for fault in caught.value.faults] == [
        "storage.keep_events",
        "storage.keep_rollups",
        "storage.keep_history",
    ]
    assert "31 days" in caught.value.faults[0].message


def test_the_heartbeat_takes_one_address_and_keeps_it_to_itself(tmp_path: Path, read: Read) -> None:
    """From the file or from a variable; what is wrong with it is told without the address."""
    (tmp_path / FILE_NAME).write_text('[alerting]\nheartbeat_url_env = "SWITCH"', encoding="utf-8")
    checked = check(load(tmp_path), {"SWITCH": "https://hc.example/secret"}, now=NOW)
    assert checked.heartbeat_url == "https://hc.example/secret"
    assert "secret" not in repr(checked)
    assert read("").heartbeat_url is None

    def faults(text: str) -> list[str]:
        with pytest.raises(ConfigInvalid) as caught:
            read(f"[alerting]\n{text}")
        return [f"{fault.field} {fault.message}" for fault in caught.value.faults]

    assert faults('heartbeat_url_env = "SWITCH"') == [
        "alerting.heartbeat_url_env names SWITCH, which is not set in the broker's environment"
    ]
    both = 'heartbeat_url = "https://a.example"\nheartbeat_url_env = "SWITCH"'
    assert "takes one of heartbeat_url and heartbeat_url_env" in faults(both)[0]
    assert "must be an address" in faults('heartbeat_url = "hc.example"')[0]
    assert "alerting.heartbeat_every" in faults('heartbeat_every = "1s"')[0]


def test_all_sections_faults_are_told_at_once_in_the_files_order(read: Read) -> None:
    """Nobody mends a file one start at a time."""
    with pytest.raises(ConfigInvalid) as caught:
        read("""\
[server]
port = 70000
auth = "perhaps"
public_url = "kokino.example.com"
[calendar]
timezone = "Europe/Atlantis"
[process]
executions = 0
hold = 30
[sevrer]
[[agents]]
id = "a b"
cli_type = "scripted"
cwd = "."
[storage]
path = "kokino.db"
""")
    assert [(fault.line, fault.field) for fault in caught.value.faults] == [
        (2, "server.port"),
        (3, "server.auth"),
        (4, "server.public_url"),
        (6, "calendar.timezone"),
        (8, "process.executions"),
        (9, "process.hold"),
        (10, "sevrer"),
        (12, "agents[0].id"),
        (16, "storage.path"),
    ]


@pytest.mark.parametrize(
    "name", ["Europe/Atlantis", "", "Europe", "../../etc/passwd", "/etc/passwd", "x" * 300]
)
def test_what_is_no_time_zone_is_refused(read: Read, name: str) -> None:
    """A folder of zones, and a path out of it, among others."""
    with pytest.raises(ConfigInvalid, match="is no time zone; use a name such as Europe/Berlin"):
        read(f'[calendar]\ntimezone = "{name}"\n')


def test_the_database_is_named_by_the_environment_then_the_file_then_the_home(
    read: Read, tmp_path: Path
) -> None:
    """The nearest wins."""
    named = read('[storage]\nurl = "postgresql://host/kokino"\n')
    assert database_url(named, {"KOKINO_DATABASE_URL": "sqlite:////x.db"}) == "sqlite:////x.db"
    assert database_url(named, {}) == "postgresql://host/kokino"
    assert database_url(read(""), {"KOKINO_DATABASE_URL": ""}) == (
        f"sqlite:///{tmp_path}/broker/data/kokino.db"
    )


def test_agents_inherit_no_secret_of_ours() -> None:
    """Not the variables that the file takes secrets from, at whatever depth, nor any of our own."""
    environment = {
        "PATH": "/bin",
        "HOME": "/home/ada",
        "PD_KEY": "canary",
        "SLACK_URL": "canary",
        "DEEP": "canary",
        "KOKINO_DATABASE_URL": "canary",
        "KOKINO_TOKEN": "canary",
        "ANTHROPIC_API_KEY": "the agent's own",
    }
    values = {
        "receivers": {
            "oncall": {"type": "pagerduty", "routing_key_env": "PD_KEY"},
            "headless": {"webhook_url_env": "SLACK_URL", "channel": "PATH"},
        },
        "owners": [{"a": [{"token_env": "DEEP"}]}],
    }
    assert inherited(environment, values) == {
        "PATH": "/bin",
        "HOME": "/home/ada",
        "ANTHROPIC_API_KEY": "the agent's own",
    }


def test_a_setting_that_only_ends_like_one_is_none() -> None:
    """``env`` itself is a table of an agent's variables, whose values are no names of ours."""
    values = {"cli_types": {"x": {"env": {"A": "PATH"}}}, "y": {"n_env": 5}}
    assert inherited({"PATH": "/bin"}, values) == {"PATH": "/bin"}
