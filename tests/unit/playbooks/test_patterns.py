from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokino.playbooks.model import StepResult, read_result
from kokino.playbooks.patterns import Match, Verdict, choose
from kokino.playbooks.verify import VerifyState, judge
from tests.unit.playbooks.documents import answered, parsed
from tests.unit.playbooks.test_match import json_values

BAD = {"cliType": "alpha", "failureRate": 0.9, "failures": 9}
GOOD = {"cliType": "beta", "failureRate": 0.0, "failures": 0}

#: Rows that overlap: more than one can match at a time.
OVERLAP = ("`bad.count() >= 2`", "`bad.any(failures >= 5)`")
ACTED_AT = datetime(2026, 1, 5, 9, tzinfo=UTC)


def verdicts(match: Match) -> dict[str, Verdict]:
    """What was found of each row."""
    return {considered.pattern_id: considered.verdict for considered in match.considered}


def test_the_row_that_matches_is_chosen_and_gives_its_actions_their_inputs() -> None:
    """Evidence becomes a pattern, values for its steps, and a reason for every row."""
    match = choose(parsed(), answered(by_cli=[BAD, GOOD]))
    assert match.pattern is not None
    assert (match.pattern.id, match.pattern.actions) == ("one", ("disable",))
    assert match.inputs == {"CLI_TYPE": "alpha"}
    assert match.reason == "one matches"
    assert verdicts(match) == {"one": Verdict.MATCHED, "many": Verdict.NOT_MATCHED}
    assert match.considered[1].why == "bad.count() is 1 (not >= 2)"


def test_nothing_is_chosen_when_nothing_matches() -> None:
    """An unknown pattern says so."""
    match = choose(parsed(), answered(by_cli=[GOOD]))
    assert (match.pattern, match.reason) == (None, "no pattern matched")


def test_a_tie_is_unknown() -> None:
    """Two rows that match, neither more specific, leave the choice to a person."""
    match = choose(parsed(OVERLAP), answered(by_cli=[BAD]))
    assert match.pattern is None
    assert match.reason == "one and many match alike, and neither is the more specific one"


def test_a_preference_breaks_a_tie() -> None:
    """``prefer`` says which of two overlapping rows looks closer."""
    match = choose(parsed(OVERLAP, ("# a comment", "prefer one over many")), answered(by_cli=[BAD]))
    assert match.pattern is not None
    assert match.reason == "one matches, more specific than many"


def test_a_row_that_demands_more_is_more_specific() -> None:
    """Demanding all that another row demands, and more, needs no preference."""
    closer = ("`bad.count() >= 2`", "`bad.count() == 1 and bad.any(failures >= 5)`")
    match = choose(parsed(closer), answered(by_cli=[BAD]))
    assert match.pattern is not None
    assert match.pattern.id == "many"


def test_definitions_count_as_their_parts() -> None:
    """A row that names an ``and`` demands what stands in it."""
    named = ("# a comment", "is-one = by-cli.count(failureRate >= 0.5) == 1 and by-cli.exit == 0")
    closer = ("`bad.count() >= 2`", "`is-one and bad.count() == 1`")
    assert parsed(named, closer).pattern("many").beats == {"one"}


def test_definitions_that_name_each_other_are_taken_apart_at_once() -> None:
    """A short text of many definitions costs no long time."""
    head = ["d0 = bad.count() == 1", "d1 = d0 and by-cli.exit == 0"]
    lines = [*head, *(f"d{n} = d{n - 1} and d{n - 2}" for n in range(2, 50))]
    playbook = parsed(
        ("\nCLI_TYPE = bad", "\n" + "\n".join([*lines, "CLI_TYPE = bad"])), (">= 2`", ">= 2 and d49`")
    )
    assert len(playbook.pattern("many").conditions) == 3


def test_what_is_undecided_and_closer_blocks_the_choice() -> None:
    """A closer row that the evidence cannot rule out may be the right one."""
    closer = ("`bad.count() >= 2`", '`bad.count() == 1 and bad.one().kind == "auth"`')
    match = choose(parsed(closer), answered(by_cli=[BAD]))
    assert match.pattern is None
    assert match.reason == "one matches, but many, more specific, could not be decided"


def test_a_step_that_failed_decides_nothing() -> None:
    """No output, half an answer or an exit code other than 0 leaves every row undecided."""
    for result in (read_result(22, "[]"), read_result(0, "[{"), read_result(None, "[]")):
        match = choose(parsed(), {"by-cli": result})
        assert set(verdicts(match).values()) == {Verdict.UNDECIDED}
    match = choose(parsed(), {})
    assert (match.pattern, match.reason) == (None, "no pattern matched; one and many could not be decided")


@pytest.mark.parametrize("name", [None, "", "a\nb", "a\0b", "x" * 257, ["a"], {"a": 1}])
def test_an_input_without_a_usable_value_stops_the_action(name: object) -> None:
    """What cannot stand in an environment variable is never handed to a step."""
    match = choose(parsed(), answered(by_cli=[BAD | {"cliType": name}]))
    assert match.pattern is None
    assert match.reason == "one matches, but the evidence does not tell CLI_TYPE for its actions"
    assert verdicts(match)["one"] is Verdict.MATCHED


@given(output=json_values, exit_code=st.none() | st.integers(0, 2))
def test_any_output_leads_to_a_choice_with_its_reasons(output: object, exit_code: int | None) -> None:
    """Whatever a step printed, the choice is made and every row has its reason."""
    match = choose(parsed(), {"by-cli": StepResult(exit_code=exit_code, output=output)})
    assert match.reason
    assert all(considered.why for considered in match.considered)


@pytest.mark.parametrize(
    ("successes", "minutes", "state"),
    [
        # Before the window has passed it still shows what was before the action.
        (9, 4, VerifyState.WAITING),
        (9, 5, VerifyState.VERIFIED),
        (2, 5, VerifyState.WAITING),
        (2, 19, VerifyState.WAITING),
        (2, 20, VerifyState.EXPIRED),
        # Well at the last moment is well.
        (3, 20, VerifyState.VERIFIED),
        (None, 20, VerifyState.EXPIRED),
    ],
)
def test_verify_needs_successes_in_a_whole_window(
    successes: int | None, minutes: int, state: VerifyState
) -> None:
    """A repair is judged by what succeeded in the window after it, until time is up."""
    now = ACTED_AT + timedelta(minutes=minutes)
    judgement = judge(parsed().verify, answered(service={"successes": successes}), acted_at=ACTED_AT, now=now)
    assert judgement.state is state
    assert judgement.reason
