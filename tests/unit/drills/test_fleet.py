"""The fleet's configuration is one that the broker reads, and its logins are what agents look at."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from kokino.app.settings import check
from kokino.config import FILE_NAME, load
from kokino.drills.fleet import EXPIRED, MEMBERS, ROUTING_KEY_ENV, WEBHOOK_ENV, Fleet, request

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
ENVIRONMENT = {ROUTING_KEY_ENV: "R" * 32, WEBHOOK_ENV: "http://127.0.0.1:1/services/x"}


def test_the_configuration_holds_for_the_broker(tmp_path: Path) -> None:
    """Every agent is scripted, under the CLI type's own name, and a P1 pages and posts."""
    home = tmp_path / 'a "quoted" home'
    home.mkdir()
    (home / FILE_NAME).write_text(Fleet(home=home).configuration(pagerduty_url="http://127.0.0.1:1"), "utf-8")

    checked = check(load(home), ENVIRONMENT, now=NOW)

    assert {agent.agent_id: agent.cli_type for agent in checked.agents} == {
        member.agent_id: member.cli_type for member in MEMBERS
    }
    assert {checked.cli_types[member.cli_type].driver for member in MEMBERS} == {"scripted"}
    assert checked.routing.owners["@backend-team"] == ("oncall", "headless")
    assert checked.cli_types["codex"].env["KOKINO_SCRIPTED_LOGIN"] == str(home / "logins" / "codex")


def test_a_login_that_expires_is_one_of_its_cli_type_alone(tmp_path: Path) -> None:
    """Agents read the word that ends a login, until it is renewed."""
    fleet = Fleet(home=tmp_path)
    fleet.renew("codex")
    fleet.expire("claude-code")

    assert fleet.login("claude-code").read_text().strip() == EXPIRED
    assert fleet.login("codex").read_text().strip() != EXPIRED
    fleet.renew("claude-code")
    assert fleet.login("claude-code").read_text().strip() != EXPIRED


def test_no_member_says_what_the_scripted_agent_takes_for_a_directive() -> None:
    """A semicolon would end the directive that says the answer."""
    for member in MEMBERS:
        assert ";" not in member.answer
        assert request(member)["prompt"].splitlines()[1].endswith(member.answer)
