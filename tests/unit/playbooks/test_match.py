from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokino.playbooks.evaluate import UNKNOWN, Value, evaluate, explain, scope_of
from kokino.playbooks.expressions import Node, write
from kokino.playbooks.match import ExpressionInvalid, parse_expression
from kokino.playbooks.model import StepResult

STEPS = ("rows", "one", "down")
ROWS = [
    {"name": "a", "total": 10, "rate": 0.9, "kinds": {"auth": 7, "crash": 2}, "off": False},
    {"name": "b", "total": 20, "rate": 0.0, "kinds": {}, "off": False},
    {"name": "c", "total": 5, "rate": None},
]
RESULTS = {
    "rows": StepResult(exit_code=0, output=ROWS),
    "one": StepResult(exit_code=0, output={"state": "firing", "count": 3, "flag": True, "none": None}),
    "down": StepResult(exit_code=22, output={"count": 3}),
}
SCOPE = scope_of(RESULTS)

CASES: list[tuple[str, object]] = [
    ("one.count == 3", True),
    ("one.count == 3.0", True),
    ("one.count != 3", False),
    ('one.state == "firing"', True),
    ('one.state in ("firing", "pending")', True),
    ('one.state in ("resolved")', False),
    # A text is not a number, and true is not 1.
    ('one.count == "3"', False),
    ("one.flag == 1", False),
    ("one.flag", True),
    # What has no order is unknown.
    ('one.state > "a"', UNKNOWN),
    ("rows == 1", UNKNOWN),
    # Missing, null, and not an object.
    ("one.nothing == 1", UNKNOWN),
    ("one.none == 1", UNKNOWN),
    ("one.count.deeper", UNKNOWN),
    ("one.nothing.exists()", False),
    ("one.count.exists()", True),
    ("one.nothing.default(0) == 0", True),
    # Kleene's logic.
    ("one.nothing == 1 and one.count == 4", False),
    ("one.nothing == 1 or one.count == 3", True),
    ("not one.nothing == 1", UNKNOWN),
    ("one.nothing == 1 and one.count == 3", UNKNOWN),
    ("one.count and one.flag", UNKNOWN),
    # A step that failed has no output, but an exit code.
    ("down.count == 3", UNKNOWN),
    ("down.exit == 22", True),
    ("rows.exit == 0", True),
    # Rows that are unknown are left out.
    ("rows.count()", 3),
    ("rows.count(rate >= 0)", 2),
    ("rows.where(rate >= 0.5).one().name", "a"),
    ("rows.where(rate >= 0).one().name", UNKNOWN),
    ("rows.one(rate < 0.5).name", "b"),
    ("rows.where(kinds.auth >= 1).count() == 1", True),
    ("rows.any(rate > 0.5)", True),
    ("rows.any(rate > 5)", UNKNOWN),
    ("rows.all(total >= 5)", True),
    ("rows.all(rate < 0.5)", False),
    # No rows prove nothing.
    ("rows.where(total > 99).all(total > 0)", UNKNOWN),
    ("rows.where(total > 99).sum(total)", 0),
    ("rows.sum(total)", 35),
    ("rows.sum(rate)", UNKNOWN),
    ("rows.max(total)", 20),
    ("rows.min(total)", 5),
    ("rows.where(total > 99).max(total)", UNKNOWN),
    ("rows.most(total).name", "b"),
    ("rows.least(total).name", "c"),
    ("rows.one(total == 10).kinds.top()", "auth"),
    ("rows.one(total == 20).kinds.top()", UNKNOWN),
    ("rows.where(total == one.count).count()", 0),
    ("one.count(flag)", UNKNOWN),
]

BROKEN = [
    ("", 1),
    ("one.count ==", 13),
    ("one.count = 3", 11),
    ("nobody.count() == 1", 1),
    ("rows.where()", 6),
    ("rows.exists(true)", 6),
    ("rows.shout()", 6),
    ("rows.where(total > 1", 21),
    ("one.count == 1 extra", 16),
    ("one.count + 1 == 2", 11),
    ("one.state in (state)", 15),
    ('one.state == "open', 14),
    ("rows.where(rows.where(rows.any(total > 1)))", 32),
    ("(" * 99, 13),
    ("not " * 99 + "one.flag", 49),
    ("one" + ".a" * 99, 125),
]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["total", "rate", "kinds", "auth", "name"]) | st.text(max_size=3), inner
        )
    ),
    max_leaves=20,
)
literals = st.sampled_from(["0", "3", "-1.5", "0.5", '"auth"', "true", "false"])


def extended(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Larger expressions made of smaller ones."""
    methods = st.sampled_from(["where", "count", "any", "all", "sum", "min", "max", "most", "least", "one"])
    return (
        st.builds("({}) {} ({})".format, inner, st.sampled_from(["and", "or", "==", "!=", "<", ">="]), inner)
        | st.builds("not ({})".format, inner)
        | st.builds("({}).{}".format, inner, st.sampled_from(["total", "kinds", "auth", "exit"]))
        | st.builds("({}).{}()".format, inner, st.sampled_from(["exists", "top", "count", "one"]))
        | st.builds("({}).default({})".format, inner, literals)
        | st.builds("({}) in ({}, {})".format, inner, literals, literals)
        | st.builds(
            "rows.{}(({}) {} {})".format, methods, inner, st.sampled_from(["==", "<", "and"]), literals
        )
        | st.builds("rows.{}({})".format, methods, st.sampled_from(["rate", "total > 1", "kinds.auth"]))
    )


expressions = st.recursive(
    literals | st.sampled_from(["rows", "one", "rows.exit", "down"]), extended, max_leaves=6
)


def value_of(text: str) -> Value:
    """The value of an expression over `RESULTS`."""
    return evaluate(parse_expression(text, steps=STEPS), SCOPE)


def parsed_or_none(text: str) -> Node | None:
    """The expression; None where the text is none and the fault says where."""
    column = None
    try:
        return parse_expression(text, steps=STEPS)
    except ExpressionInvalid as fault:
        column = fault.column
    assert 1 <= column <= len(text) + 1
    return None


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_an_expression_has_its_value(text: str, expected: object) -> None:
    """Each rule of the language gives what its documentation says."""
    assert value_of(text) == expected
    assert type(value_of(text)) is type(expected)


@pytest.mark.parametrize(("text", "column"), BROKEN)
def test_what_is_no_expression_is_told_with_its_column(text: str, column: int) -> None:
    """A fault names the column, from 1, where reading stopped."""
    with pytest.raises(ExpressionInvalid) as caught:
        parse_expression(text, steps=STEPS)
    assert caught.value.column == column


@given(text=st.text(max_size=60) | st.text("()., =<>!andorwhe\"'0.5", max_size=60))
def test_any_text_is_an_expression_or_a_fault_with_its_column(text: str) -> None:
    """Garbage raises nothing but the fault."""
    parsed_or_none(text)


@given(text=expressions, rows=json_values, one=json_values, exit_code=st.none() | st.integers())
def test_an_expression_has_a_value_over_any_json(
    text: str, rows: object, one: object, exit_code: int | None
) -> None:
    """Whatever the steps printed, evaluation and explanation end without an exception."""
    node = parsed_or_none(text)
    scope = scope_of(
        {"rows": StepResult(exit_code=0, output=rows), "one": StepResult(exit_code=exit_code, output=one)}
    )
    if node is not None:
        assert evaluate(node, scope) is not None
        assert explain(node, scope)


@given(text=expressions)
def test_an_expression_written_out_reads_back_the_same(text: str) -> None:
    """The text that people are shown is the expression itself."""
    node = parsed_or_none(text)
    if node is not None:
        assert parse_expression(write(node), steps=STEPS) == node


def test_a_number_too_large_to_be_a_count_is_unknown() -> None:
    """Neither a huge whole number nor one that is none can break a comparison or a sum."""
    node = parse_expression("rows.sum(total) > 1", steps=STEPS)
    for total in (10**400, float("inf"), float("nan")):
        assert (
            evaluate(node, scope_of({"rows": StepResult(exit_code=0, output=[{"total": total}])})) is UNKNOWN
        )


def test_an_explanation_shows_what_was_compared() -> None:
    """A person reads the condition, whether it holds, and the value that decided."""
    node = parse_expression("rows.count(rate >= 0.5) == 2", steps=STEPS)
    expected = "rows.count(rate >= 0.5) is 1 (not == 2)"
    assert explain(node, SCOPE) == expected
