"""The shipped availability playbook: its choices, over the answers of the broker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kokino.playbooks.library import load_library
from kokino.playbooks.model import Effect, RunMode, Section
from kokino.playbooks.patterns import Match, choose
from kokino.playbooks.verify import VerifyState, judge
from tests.unit.playbooks.documents import answered

PLAYBOOK = load_library().get("availability-slo-breach")

Row = dict[str, object]


def cli(name: str, failures: int, total: int, kind: str = "crash", **more: object) -> Row:
    """A row of ``/api/metrics/failures/by-cli``."""
    kinds = {kind: failures} if failures else {}
    row: Row = {
        "cliType": name,
        "account": f"{name}:/home",
        "failures": failures,
        "total": total,
        "failureRate": failures / total if total else 0,
        "kinds": kinds,
        "disabled": False,
        "refused": 0,
        "parked": False,
    }
    return row | more


def agent(name: str, cli_type: str, failures: int, total: int, **more: object) -> Row:
    """A row of ``/api/metrics/failures/by-agent``."""
    return cli(cli_type, failures, total) | {"agentId": name} | more


def chosen(by_cli: list[Row], by_agent: list[Row]) -> Match:
    """The choice over both answers."""
    return choose(PLAYBOOK, answered(by_cli=by_cli, by_agent=by_agent))


SICK_AGENTS = [agent("a1", "alpha", 9, 10), agent("a2", "alpha", 9, 10), agent("b1", "beta", 0, 20)]
ONE_SICK = [agent("a1", "alpha", 9, 10), agent("a2", "alpha", 0, 10), agent("b1", "beta", 0, 20)]
NOISY = [agent("a1", "alpha", 2, 20), agent("b1", "beta", 2, 20)]

CASES: dict[str, tuple[str | None, list[Row], list[Row]]] = {
    "all CLI types fail": ("all-clis", [cli("alpha", 9, 10), cli("beta", 9, 10)], SICK_AGENTS),
    "the only CLI type cannot reach its API": ("all-clis", [cli("alpha", 9, 10, "network")], SICK_AGENTS),
    "the only CLI type crashes: no contrast": (None, [cli("alpha", 9, 10)], SICK_AGENTS),
    "one CLI type crashes": ("single-cli", [cli("alpha", 18, 20), cli("beta", 0, 20)], SICK_AGENTS),
    "one login expired": (
        "single-cli-account",
        [cli("alpha", 18, 20, "auth"), cli("beta", 0, 20)],
        SICK_AGENTS,
    ),
    "one quota is used up": (
        "single-cli-account",
        [cli("alpha", 18, 20, "quota"), cli("beta", 0, 9)],
        SICK_AGENTS,
    ),
    "an outage that has just begun shows in a row of failures, not in the rate": (
        "single-cli-account",
        [cli("alpha", 4, 30, "auth", failuresInARow=4), cli("beta", 0, 20, failuresInARow=0)],
        [agent("a1", "alpha", 2, 15, failuresInARow=2), agent("b1", "beta", 0, 20, failuresInARow=0)],
    ),
    "a quota is used up and its account is parked: nothing runs any more that could fail": (
        "single-cli-account",
        [cli("alpha", 1, 4, "quota", refused=9, parked=True), cli("beta", 0, 9)],
        [agent("a1", "alpha", 1, 2), agent("a2", "alpha", 0, 2), agent("b1", "beta", 0, 9)],
    ),
    "it was parked so long ago that nothing of it ran in the window": (
        "single-cli-account",
        [cli("alpha", 0, 0, refused=9, parked=True), cli("beta", 0, 9)],
        [agent("b1", "beta", 0, 9)],
    ),
    "a parked account takes over from nobody": (
        None,
        [cli("alpha", 9, 10), cli("beta", 0, 9, parked=True)],
        SICK_AGENTS,
    ),
    "refusals by circuit breakers alone name no CLI type": (
        None,
        [cli("alpha", 0, 3, refused=9), cli("beta", 0, 9)],
        [agent("a1", "alpha", 0, 3), agent("b1", "beta", 0, 9)],
    ),
    "a login without a known account": (
        "single-cli",
        [cli("alpha", 18, 20, "auth", account=None), cli("beta", 0, 20)],
        SICK_AGENTS,
    ),
    "too few failures to tell": (
        None,
        [cli("alpha", 2, 2), cli("beta", 0, 20)],
        [agent("a1", "alpha", 2, 2)],
    ),
    "too few successes to call the other healthy": (
        None,
        [cli("alpha", 9, 10), cli("beta", 0, 2)],
        SICK_AGENTS,
    ),
    "the other CLI type is disabled": (
        None,
        [cli("alpha", 9, 10), cli("beta", 0, 9, disabled=True)],
        SICK_AGENTS,
    ),
    "the failing CLI type is disabled already": (
        None,
        [cli("alpha", 9, 10, disabled=True), cli("beta", 0, 20)],
        SICK_AGENTS,
    ),
    "one agent among healthy peers": ("single-agent", [cli("alpha", 9, 20), cli("beta", 0, 20)], ONE_SICK),
    "one busy agent pulls its CLI type down": (
        "single-agent",
        [cli("alpha", 19, 30), cli("beta", 0, 20)],
        [agent("a1", "alpha", 19, 20), agent("a2", "alpha", 0, 10), agent("b1", "beta", 0, 20)],
    ),
    "the agent is alone with its CLI type": (
        "single-cli",
        [cli("alpha", 9, 10), cli("beta", 0, 20)],
        [agent("a1", "alpha", 9, 10), agent("b1", "beta", 0, 20)],
    ),
    "its only peer uses another login": (
        "single-cli",
        [cli("alpha", 9, 12), cli("beta", 0, 20)],
        [agent("a1", "alpha", 9, 9), agent("a2", "alpha", 0, 3, account="other"), agent("b1", "beta", 0, 20)],
    ),
    "errors are spread thin": ("random", [cli("alpha", 2, 20), cli("beta", 2, 20)], NOISY),
    "nothing ran": (None, [], []),
}


@pytest.mark.parametrize(("expected", "by_cli", "by_agent"), CASES.values(), ids=CASES.keys())
def test_each_situation_has_its_pattern(expected: str | None, by_cli: list[Row], by_agent: list[Row]) -> None:
    """A cause is named only with minimum counts and contrast."""
    match = chosen(by_cli, by_agent)
    assert (match.pattern and match.pattern.id) == expected, match


def test_agents_move_to_the_busiest_healthy_cli_type_and_the_account_is_parked() -> None:
    """The inputs of the repair come from the rows that matched."""
    rows = [cli("alpha", 18, 20, "auth"), cli("beta", 0, 5), cli("gamma", 0, 50)]
    match = chosen(rows, SICK_AGENTS)
    assert match.pattern is not None
    assert match.pattern.actions == ("disable-cli", "park-account")
    assert match.inputs == {
        "CLI_TYPE": "alpha",
        "TARGET": "gamma",
        "KIND": "auth",
        "ACCOUNT": "alpha:/home",
    }


def test_without_the_agents_rows_no_cli_type_is_disabled() -> None:
    """When it may be one agent, a whole CLI type is left alone."""
    match = choose(PLAYBOOK, answered(by_cli=[cli("alpha", 18, 20), cli("beta", 0, 20)]))
    assert match.pattern is None
    assert "single-agent, more specific, could not be decided" in match.reason


def test_every_change_is_automatic_limited_and_taken_back_where_it_lasts() -> None:
    """What a row calls may run at night, not again and again, and not for ever."""
    actions = {PLAYBOOK.step(action) for pattern in PLAYBOOK.patterns for action in pattern.actions}
    assert all(step.effect is Effect.WRITE and step.run is RunMode.AUTO and step.limit for step in actions)
    undone = {step.id: PLAYBOOK.step(step.undo).after for step in actions if step.undo}
    assert undone.keys() == {"disable-cli", "park-account"}
    assert all(after and after.step_id == "probes-good" for after in undone.values())


def test_every_request_quotes_its_address_and_keeps_the_token_off_the_argument_list() -> None:
    """Each curl fails on an HTTP error and reads its headers from a file."""
    for step in PLAYBOOK.steps:
        commands = step.script.replace("\\\n", " ").split("curl ")[1:]
        assert all(command.startswith('--fail-with-body -sS -H @"$KOKINO_HEADERS" ') for command in commands)
        assert all('"$KOKINO_URL/' in command for command in commands)
        assert "KOKINO_TOKEN" not in step.script


def test_every_row_is_drilled() -> None:
    """No row of the table goes unrehearsed."""
    assert {drill.pattern for drill in PLAYBOOK.drills} == {pattern.id for pattern in PLAYBOOK.patterns}


def test_verify_looks_back_on_the_window_that_it_waits_for() -> None:
    """The steps ask for as many minutes as the block says."""
    minutes = PLAYBOOK.verify.window // timedelta(minutes=1)
    asked = [step.script for step in PLAYBOOK.steps_in(Section.VERIFY) if "minutes=" in step.script]
    assert asked
    assert all(f'minutes={minutes}"' in script for script in asked)


@pytest.mark.parametrize(
    ("successes", "rate", "alert", "state"),
    [
        (30, 0.0, "resolved", VerifyState.VERIFIED),
        (30, 0.0, "firing", VerifyState.WAITING),
        (30, 0.02, "resolved", VerifyState.WAITING),
        (2, 0.0, "resolved", VerifyState.WAITING),
    ],
)
def test_the_service_is_well_when_work_succeeds_and_the_alert_clears(
    successes: int, rate: float, alert: str, state: VerifyState
) -> None:
    """Successes, their rate and the alert must all say so."""
    acted_at = datetime(2026, 1, 5, 9, tzinfo=UTC)
    results = answered(service={"successes": successes, "failureRate": rate}, alert={"state": alert})
    judgement = judge(PLAYBOOK.verify, results, acted_at=acted_at, now=acted_at + timedelta(minutes=6))
    assert judgement.state is state
