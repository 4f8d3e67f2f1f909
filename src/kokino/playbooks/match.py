"""The match language: what a playbook may say about the results of its steps.

Closed and total: no arithmetic, no assignment, no loops, and no result that raises. What is missing is
*unknown*, as NULL is in SQL. The grammar stands in ``docs/playbooks.md``; `evaluate.py` gives it its meaning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from kokino.playbooks.expressions import (
    And,
    Call,
    Compare,
    Exit,
    Field,
    Get,
    Literal,
    Name,
    Node,
    Not,
    OneOf,
    Or,
    Truth,
)

#: Longest expression in characters, deepest nesting, most fields and methods: far above what a person can
#: read, far below what the interpreter's stack holds.
MAX_LENGTH = 2000
MAX_DEPTH = 12
MAX_MEMBERS = 60
#: A filter inside a filter is enough; more would let a short text cost a long time.
MAX_FILTERS = 2

COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
KEYWORDS = frozenset({"and", "or", "not", "in", "true", "false"})

#: Methods that look at each row of a list, and whether they need an argument (True), may have one (None).
ROW_METHODS: dict[str, bool | None] = {
    "where": True,
    "any": True,
    "all": True,
    "sum": True,
    "min": True,
    "max": True,
    "most": True,
    "least": True,
    "count": None,
    "one": None,
}
#: Methods of any value, and whether they need an argument (a literal).
VALUE_METHODS: dict[str, bool] = {"exists": False, "top": False, "default": True}
_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<number>-?[0-9]+(?:\.[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:-[A-Za-z0-9_]+)*)"
    r'|(?P<string>"[^"\\\n]*")'
    r"|(?P<sign>==|!=|<=|>=|<|>|[().,])"
)


class ExpressionInvalid(ValueError):
    """Text that is no expression; says where."""

    def __init__(self, column: int, message: str) -> None:
        super().__init__(f"column {column}: {message}")
        #: Column in the expression, from 1.
        self.column = column


@dataclass(frozen=True, slots=True)
class _Token:
    sort: str
    text: str
    column: int


def parse_expression(text: str, *, steps: Collection[str], definitions: Collection[str] = ()) -> Node:
    """The expression that `text` says, over these steps and definitions; else `ExpressionInvalid`."""
    if len(text) > MAX_LENGTH:
        raise ExpressionInvalid(MAX_LENGTH, f"longer than {MAX_LENGTH} characters; use definitions")
    parser = _Parser(_tokens(text), steps, definitions)
    node = parser.disjunction()
    parser.expect_end()
    return node


def _tokens(text: str) -> list[_Token]:
    tokens, at = [], 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ExpressionInvalid(at + 1, f"{text[at]!r} has no meaning here")
        if found.lastgroup != "space":
            tokens.append(_Token(str(found.lastgroup), found.group(), at + 1))
        at = found.end()
    tokens.append(_Token("end", "the end", len(text) + 1))
    return tokens


class _Parser:
    """Recursive descent, one method per rule of the grammar."""

    def __init__(self, tokens: list[_Token], steps: Collection[str], definitions: Collection[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._filters = 0
        self._members = 0
        self._steps = steps
        self._definitions = definitions

    def disjunction(self) -> Node:
        self._deeper()
        node = self._separated("or", self._conjunction, Or)
        self._depth -= 1
        return node

    def expect_end(self) -> None:
        if self._now.sort != "end":
            raise self._fault(f"{self._now.text!r} does not belong here")

    @property
    def _now(self) -> _Token:
        return self._tokens[self._at]

    def _fault(self, message: str) -> ExpressionInvalid:
        return ExpressionInvalid(self._now.column, message)

    def _next(self) -> _Token:
        token = self._now
        self._at += token.sort != "end"
        return token

    def _take(self, text: str) -> bool:
        if self._now.sort in {"sign", "name"} and self._now.text == text:
            self._next()
            return True
        return False

    def _need(self, text: str) -> None:
        if not self._take(text):
            raise self._fault(f"expected {text!r}, found {self._now.text!r}")

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._fault(f"nested deeper than {MAX_DEPTH}; use definitions")

    def _separated(self, word: str, rule: Callable[[], Node], make: type[And | Or]) -> Node:
        terms = [rule()]
        while self._take(word):
            terms.append(rule())
        if len(terms) == 1:
            return terms[0]
        flat = [t for term in terms for t in (term.terms if isinstance(term, make) else (term,))]
        return make(tuple(flat))

    def _conjunction(self) -> Node:
        return self._separated("and", self._negation, And)

    def _negation(self) -> Node:
        if not self._take("not"):
            return self._comparison()
        self._deeper()
        term = self._negation()
        self._depth -= 1
        return Not(term)

    def _comparison(self) -> Node:
        left = self._value()
        if self._take("in"):
            return OneOf(left, self._options())
        if self._now.text not in COMPARISONS or self._now.sort != "sign":
            return left
        sign = self._next().text
        return Compare(left, sign, self._value())

    def _options(self) -> tuple[Literal | Truth, ...]:
        self._need("(")
        options = [self._literal()]
        while self._take(","):
            options.append(self._literal())
        self._need(")")
        return tuple(options)

    def _literal(self) -> Literal | Truth:
        token = self._next()
        if token.sort == "number":
            return Literal(float(token.text) if "." in token.text else int(token.text))
        if token.sort == "string":
            return Literal(token.text[1:-1])
        if token.text in {"true", "false"}:
            return Truth(token.text == "true")
        raise ExpressionInvalid(token.column, f"expected a number, text, true or false, not {token.text!r}")

    def _value(self) -> Node:
        node = self._primary()
        while self._take("."):
            self._members += 1
            if self._members > MAX_MEMBERS:
                raise self._fault(f"more than {MAX_MEMBERS} fields and methods; use definitions")
            node = self._member(node)
        return node

    def _primary(self) -> Node:
        if self._take("("):
            node = self.disjunction()
            self._need(")")
            return node
        if self._now.sort == "name" and self._now.text not in KEYWORDS:
            return self._name(self._next())
        return self._literal()

    def _name(self, token: _Token) -> Node:
        if token.text in self._steps or token.text in self._definitions:
            return Name(token.text)
        if self._filters:
            return Field(token.text)
        raise ExpressionInvalid(token.column, f"no step or definition is named {token.text!r}")

    def _member(self, of: Node) -> Node:
        token = self._next()
        if token.sort != "name":
            raise ExpressionInvalid(token.column, f"expected a field or method after '.', not {token.text!r}")
        if self._take("("):
            return self._call(of, token)
        if token.text == "exit" and isinstance(of, Name) and of.name in self._steps:
            return Exit(of.name)
        return Get(of, token.text)

    def _call(self, of: Node, token: _Token) -> Node:
        needs = {**ROW_METHODS, **VALUE_METHODS}.get(token.text, token)
        if isinstance(needs, _Token):
            known = ", ".join(sorted({*ROW_METHODS, *VALUE_METHODS}))
            raise ExpressionInvalid(token.column, f"no method is named {token.text!r}; there are {known}")
        if self._take(")"):
            if needs:
                raise ExpressionInvalid(token.column, f"{token.text} needs an argument")
            return Call(of, token.text, None)
        if needs is False:
            raise ExpressionInvalid(token.column, f"{token.text} takes no argument")
        argument = self._row_argument() if token.text in ROW_METHODS else self._literal()
        self._need(")")
        return Call(of, token.text, argument)

    def _row_argument(self) -> Node:
        self._filters += 1
        if self._filters > MAX_FILTERS:
            raise self._fault(f"more than {MAX_FILTERS} filters inside each other; use definitions")
        argument = self.disjunction()
        self._filters -= 1
        return argument
