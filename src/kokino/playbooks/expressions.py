"""What an expression of the match language is made of.

Equal expressions are equal values: a row that demands all that another demands can be told from their parts.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Methods whose result is a list, a number or a text, never true or false.
_NO_CONDITIONS = frozenset({"where", "sum", "min", "max", "count", "top"})


@dataclass(frozen=True, slots=True)
class Literal:
    """A number or a text."""

    value: int | float | str


@dataclass(frozen=True, slots=True)
class Truth:
    """True or false; apart from `Literal`, for Python holds true and 1 to be equal."""

    value: bool


@dataclass(frozen=True, slots=True)
class Name:
    """The JSON output of a step, or the value of a definition."""

    name: str


@dataclass(frozen=True, slots=True)
class Exit:
    """The exit code of a step."""

    step: str


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the row that the surrounding method looks at."""

    name: str


@dataclass(frozen=True, slots=True)
class Get:
    """A field of an object: ``kinds.auth``."""

    of: Node
    key: str


@dataclass(frozen=True, slots=True)
class Call:
    """A method: ``by-cli.count(failures >= 3)``."""

    of: Node
    method: str
    argument: Node | None


@dataclass(frozen=True, slots=True)
class Compare:
    """Two values and one of `COMPARISONS`."""

    left: Node
    sign: str
    right: Node


@dataclass(frozen=True, slots=True)
class OneOf:
    """``kind in ("auth", "quota")``."""

    value: Node
    options: tuple[Literal | Truth, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite; unknown stays unknown."""

    term: Node


@dataclass(frozen=True, slots=True)
class And:
    """All of them."""

    terms: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of them."""

    terms: tuple[Node, ...]


Node = Literal | Truth | Name | Exit | Field | Get | Call | Compare | OneOf | Not | And | Or


def write(node: Node) -> str:
    """The expression as text; `parse_expression` reads it back to an equal one."""
    match node:
        case Literal(value):
            return f'"{value}"' if isinstance(value, str) else str(value)
        case Truth(value):
            return str(value).lower()
        case Name(name) | Field(name):
            return name
        case Exit(step):
            return f"{step}.exit"
        case Get(of, key):
            return f"{_inner(of)}.{key}"
        case Call(of, method, argument):
            return f"{_inner(of)}.{method}({'' if argument is None else write(argument)})"
        case Compare(left, sign, right):
            return f"{_inner(left)} {sign} {_inner(right)}"
        case OneOf(value, options):
            return f"{_inner(value)} in ({', '.join(write(option) for option in options)})"
        case Not(term):
            return f"not {_inner(term)}"
        case And(terms):
            return " and ".join(_inner(term) if isinstance(term, And | Or) else write(term) for term in terms)
        case Or(terms):
            return " or ".join(_inner(term) if isinstance(term, Or) else write(term) for term in terms)


def names_in(node: Node) -> frozenset[str]:
    """The steps and definitions that an expression reads."""
    match node:
        case Name(name) | Exit(name):
            return frozenset({name})
        case Get(of, _):
            return names_in(of)
        case Call(of, _, argument):
            return names_in(of) | (frozenset() if argument is None else names_in(argument))
        case Compare(left, _, right):
            return names_in(left) | names_in(right)
        case OneOf(value, _) | Not(value):
            return names_in(value)
        case And(terms) | Or(terms):
            return frozenset().union(*(names_in(term) for term in terms))
        case _:
            return frozenset()


def may_be_condition(node: Node) -> bool:
    """False for what can never be true or false: a list, a number, a text."""
    match node:
        case Call(_, method, _):
            return method not in _NO_CONDITIONS
        case Literal() | Exit():
            return False
        case _:
            return True


def _inner(node: Node) -> str:
    text = write(node)
    return f"({text})" if isinstance(node, And | Or | Not | Compare | OneOf) else text
