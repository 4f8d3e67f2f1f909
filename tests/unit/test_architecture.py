"""The shape of the code, read from its imports: who may know whom, who asks the time, who speaks SQL."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from kokino.storage.schema import metadata

SOURCE = Path(__file__).resolve().parents[2] / "src" / "kokino"

BASE = (
    "clock",
    "ids",
    "errors",
    "log",
    "metrics",
    "lengths",
    "validation",
    "config",
    "tasks",
    "barrier",
    "tokens",
)
SEAMS = ("storage", "process", "notify")
NOUNS = (
    "telemetry", "conversations", "agents", "executions", "shadow", "doctor", "integrity",
    "slo", "alerts", "exports", "incidents", "playbooks", "escalation",
)  # fmt: skip
ENTRANCES = ("api", "web", "mcp")
#: Lowest first: a module may import what stands before it.
ORDER = (*BASE, *SEAMS, *NOUNS, "engine", *ENTRANCES, "app", "drills", "testing")
#: Nouns that know fewer of the lower nouns than the order would let them.
NARROWER = {
    "alerts": frozenset({"telemetry", "slo"}),
    "exports": frozenset({"telemetry", "slo", "alerts"}),
}

#: The command line speaks HTTP to a broker; only these start one, look as one would where there is none, or
#: write files that need none, and load what that takes when they do.
CLI_KNOWS = frozenset({"clock", "errors", "ids", "lengths", "log", "config", "tokens", "validation"})
CLI_STARTERS = frozenset(
    {
        "cli/serve.py",
        "cli/demo.py",
        "cli/facts.py",
        "cli/rules.py",
        "cli/config.py",
        "cli/export.py",
        "cli/integrity_files.py",
        "cli/integrity_looks.py",
    }
)
CLI_STARTS = frozenset({"app", "drills", "exports"})

CLOCKS = frozenset(
    {
        "time.time",
        "time.time_ns",
        "time.monotonic",
        "time.monotonic_ns",
        "time.perf_counter",
        "time.perf_counter_ns",
    }
    | {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
)
#: Programs that run beside the broker, where nobody hands them a clock.
PROGRAMS = (
    "kokino.process.warden",
    "kokino.process.promises",
    "kokino.testing.scripted_agent",
    "kokino.testing.scripted_acp_agent",
)

#: What a function that is handed a connection needs in its signature, and nothing that builds a query.
SQLALCHEMY_FOR_ALL = frozenset({"Connection", "Row", "RowMapping"})

#: Who reads and writes which table; everybody else asks the owner.
TABLES = {
    "storage": frozenset({"installation"}),
    "telemetry": frozenset({"events", "latest_events", "rollups"}),
    "conversations": frozenset({"conversations", "turns"}),
    "agents": frozenset(
        {"agents", "sessions", "agent_locks", "circuits", "fallbacks", "agent_fallbacks", "pauses"}
    ),
    "executions": frozenset({"executions", "records", "idempotency_keys"}),
    "integrity": frozenset({"integrity_checks", "accepted_turns"}),
    "alerts": frozenset({"alerts", "alert_transitions", "received_alerts", "silences"}),
    "doctor": frozenset({"diagnoses"}),
    "shadow": frozenset({"comparisons", "shadow_switch"}),
    "incidents": frozenset({"incidents", "incident_episodes", "timeline"}),
    "playbooks": frozenset({"playbook_runs", "playbook_steps"}),
    "escalation": frozenset({"escalations"}),
    "notify": frozenset({"deliveries", "delivery_attempts"}),
}
#: Tables of others that a module reads all the same, and why.
BORROWED = {
    # One look into an index for each agent, in one query: the agents' own list of ids would be a query each.
    "executions/summary_store.py": frozenset({"agents"}),
}

VAGUE = frozenset({"utils", "util", "helpers", "helper", "common", "misc", "managers"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One imported name."""

    #: Dotted, with the name that was taken from the module: ``kokino.errors.Busy``.
    target: str
    line: int
    #: Made when a function runs, not when the module loads.
    is_lazy: bool

    @property
    def place(self) -> str | None:
        """The part of Kokino that it names: ``errors``; None for foreign modules and for Kokino's version."""
        package, _, rest = self.target.partition(".")
        return rest.partition(".")[0] or None if package == "kokino" and rest != "__version__" else None


def modules() -> list[str]:
    """Every module of the package, as a path beneath it."""
    return sorted(str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.py"))


def read(module: str) -> str:
    """Its source text."""
    return (SOURCE / module).read_text(encoding="utf-8")


def place_of(module: str) -> str:
    """The part of Kokino that a module belongs to."""
    return module.partition("/")[0].removesuffix(".py")


@cache
def nodes(source: str) -> tuple[ast.AST, ...]:
    """Everything in a module's tree; each rule walks all modules, which are parsed once."""
    return tuple(ast.walk(ast.parse(source)))


@cache
def imports(source: str) -> tuple[Import, ...]:
    """Every import, those for the type checker too: what is named is known."""
    return tuple(_imports(source))


def _imports(source: str) -> Iterator[Import]:
    functions = [node for node in nodes(source) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lazy = {id(inner) for function in functions for inner in ast.walk(function)}
    for node in nodes(source):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield Import(target=name, line=node.lineno, is_lazy=id(node) in lazy)


def may_import(module: str, wanted: Import) -> bool:
    """The rule above."""
    here, there = place_of(module), wanted.place
    if there is None or here in {there, "testing"}:
        return True
    if here in {"cli", "__main__"}:
        starts = module in CLI_STARTERS and wanted.is_lazy and there in CLI_STARTS
        return there in CLI_KNOWS or starts or (here == "__main__" and there == "cli")
    if here == "drills" and there == "testing":
        return True
    if there not in ORDER or here not in ORDER or ORDER.index(there) > ORDER.index(here):
        return False
    return there not in NOUNS or there in NARROWER.get(here, NOUNS)


def import_faults(module: str, source: str) -> list[str]:
    """Imports that the rule forbids."""
    return [
        f"{module}:{wanted.line}: {place_of(module)} may not import {wanted.target}"
        for wanted in imports(source)
        if not may_import(module, wanted)
    ]


def clock_faults(module: str, source: str) -> list[str]:
    """Places that ask the machine for the time."""
    taken = [(wanted.line, wanted.target) for wanted in imports(source) if wanted.target in CLOCKS]
    for node in nodes(source):
        if isinstance(node, ast.Attribute):
            owner = node.value
            named = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            asked = f"{named}.{node.attr}"
            taken += [(node.lineno, asked)] if asked in CLOCKS else []
    return [f"{module}:{line}: {asked}: take a Clock, or the instant as an argument" for line, asked in taken]


def sql_faults(module: str, source: str) -> list[str]:
    """What a module without a store's name takes to build queries with."""
    if place_of(module) == "storage" or module.endswith(("/store.py", "_store.py")):
        return []
    allowed = {f"sqlalchemy.{name}" for name in SQLALCHEMY_FOR_ALL}
    return [
        f"{module}:{wanted.line}: {wanted.target}: queries live in the noun's store.py"
        for wanted in imports(source)
        if wanted.target.startswith(("sqlalchemy", "kokino.storage.schema")) and wanted.target not in allowed
    ]


def table_faults(module: str, source: str) -> list[str]:
    """Tables that a module takes though they are another part's."""
    here = place_of(module)
    if here == "storage":
        return []
    own = TABLES.get(here, frozenset()) | BORROWED.get(module, frozenset())
    package, schema = "kokino.storage", "kokino.storage.schema"
    return [
        f"{module}:{wanted.line}: {wanted.target}: its owner answers for it; name the tables that are yours"
        for wanted in imports(source)
        if wanted.target in {schema, f"{package}.*"}
        or (wanted.target.startswith(f"{schema}.") and wanted.target.removeprefix(f"{schema}.") not in own)
    ]


def program(entry: str) -> set[str]:
    """The modules of Kokino that a program loads: its own and, in turn, what they import."""
    found: set[str] = set()
    queue = _loaded_by(entry)
    while queue:
        module = queue.pop()
        if module not in found:
            found.add(module)
            queue += [path for wanted in imports(read(module)) for path in _loaded_by(wanted.target, module)]
    return found


def _loaded_by(target: str, module: str = "") -> list[str]:
    """Modules that an import runs: the packages on the way, and what it names.

    A program that is started by its path finds its neighbours by their bare names.
    """
    package, *parts = target.split(".")
    if package != "kokino":
        neighbour = str(Path(module).with_name(f"{package}.py")) if module else ""
        return [neighbour] if (SOURCE / neighbour).is_file() else []
    names = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
    candidates = [path for name in names for path in (f"{name}.py", f"{name}/__init__.py")]
    return [path for path in candidates if (SOURCE / path).is_file()]


def neighbours(noun: str, sources: Mapping[str, str]) -> dict[str, set[str]]:
    """What each folder and module right below a part of Kokino imports of the others there."""
    found: dict[str, set[str]] = {}
    for module, source in sources.items():
        place, _, rest = module.partition("/")
        if place == noun and rest != "__init__.py":
            own = rest.partition("/")[0].removesuffix(".py")
            targets = (wanted.target.split(".") for wanted in imports(source))
            others = {parts[2] for parts in targets if parts[:2] == ["kokino", noun] and len(parts) > 2}
            found.setdefault(own, set()).update(others - {own})
    return found


def circle_in(graph: Mapping[str, Collection[str]]) -> Sequence[str] | None:
    """Names that lead back to the first of them; None where there are none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle: Sequence[str] = error.args[1]
        return circle
    return None


def assert_kept(rule: Callable[[str, str], list[str]], exempt: Collection[str] = ()) -> None:
    """Fail with every fault that a rule finds in the whole package, one to a line."""
    faults = [fault for module in modules() if module not in exempt for fault in rule(module, read(module))]
    assert not faults, "\n" + "\n".join(faults)


def test_a_module_imports_only_what_stands_below_it() -> None:
    """Imports follow the order above."""
    assert_kept(import_faults)


@pytest.mark.parametrize("noun", sorted({*SEAMS, *NOUNS, *ENTRANCES}))
def test_the_folders_and_modules_of_a_part_import_each_other_one_way(noun: str) -> None:
    """Who reads one of them need not have read all."""
    assert circle_in(neighbours(noun, {module: read(module) for module in modules()})) is None


def test_a_circle_is_seen() -> None:
    """Through a folder, whichever of its modules it goes by."""
    sources = {
        "agents/a/one.py": "from kokino.agents.b import two",
        "agents/b.py": "from kokino.agents.c.three import x\nfrom kokino.agents.b import y",
        "agents/c/three.py": "from kokino.errors import Busy",
        "agents/c/four.py": "from kokino.agents.a.five import z",
    }
    assert set(circle_in(neighbours("agents", sources)) or ()) == {"a", "b", "c"}
    del sources["agents/c/four.py"]
    assert circle_in(neighbours("agents", sources)) is None


def test_every_part_has_its_place_in_the_order() -> None:
    """A new noun is put into ORDER before anything is built on it."""
    assert {place_of(module) for module in modules()} - {*ORDER, "cli", "__init__", "__main__"} == set()


def test_only_the_clock_asks_for_the_time() -> None:
    """Time is an argument, but in programs that run beside the broker."""
    beside = {module for entry in PROGRAMS for module in program(entry)}
    assert_kept(clock_faults, exempt={"clock.py", *beside})


def test_only_stores_speak_sql() -> None:
    """A query is found in the store of its noun."""
    assert_kept(sql_faults)


def test_a_table_is_read_and_written_by_its_owner_alone() -> None:
    """What others want to know of it, or changed in it, they ask a function of the owner for."""
    assert_kept(table_faults)


def test_every_table_has_one_owner() -> None:
    """A new table is put into TABLES before anything is written into it."""
    owned = [table for tables in TABLES.values() for table in tables]
    assert sorted(owned) == sorted(metadata.tables)


def test_what_is_borrowed_is_used() -> None:
    """An exception that nobody needs any more is taken away."""
    for module, tables in BORROWED.items():
        taken = {wanted.target.rpartition(".")[2] for wanted in imports(read(module))}
        assert tables <= taken


@pytest.mark.parametrize("entry", PROGRAMS)
def test_a_program_beside_the_broker_needs_the_standard_library_alone(entry: str) -> None:
    """Warden and scripted agent start fast and load nothing that could fail under them."""
    loaded = program(entry)
    assert loaded, f"{entry} does not exist"
    foreign = {
        f"{module}:{wanted.line}: {wanted.target}"
        for module in loaded
        for wanted in imports(read(module))
        if wanted.target.partition(".")[0] not in sys.stdlib_module_names
        and not _loaded_by(wanted.target, module)
    }
    assert foreign == set()


def test_every_name_says_what_is_inside() -> None:
    """No module is named after not knowing where else to put something."""
    assert [module for module in modules() if VAGUE & set(module.removesuffix(".py").split("/"))] == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        pytest.param("slo/budget.py", "from kokino.alerts.model import Alert", id="a higher noun"),
        pytest.param("slo/budget.py", "import kokino.alerts", id="a higher noun, by plain import"),
        pytest.param("slo/budget.py", "from kokino import alerts", id="a higher noun, from the root"),
        pytest.param("slo/budget.py", "def f():\n  import kokino.engine", id="a higher part, when it runs"),
        pytest.param(
            "alerts/rules.py", "from kokino.agents import model", id="alerts hears of agents by events"
        ),
        pytest.param("errors.py", "from kokino.config import Section", id="up within the base"),
        pytest.param(
            "app.py", "from kokino.testing.clock import ManualClock", id="product code takes a double"
        ),
        pytest.param("api/agents.py", "from kokino.cli import main", id="nobody calls the command line"),
        pytest.param("api/agents.py", "from kokino.stuff import x", id="a part without a place"),
        pytest.param(
            "cli/agents.py", "from kokino.agents import model", id="the command line knows HTTP only"
        ),
        pytest.param(
            "cli/serve.py", "from kokino.app import App", id="the broker loads before it is asked for"
        ),
    ],
)
def test_a_forbidden_import_is_seen(module: str, source: str) -> None:
    """The rule can fail, and names the line."""
    [fault] = import_faults(module, source)
    assert fault.startswith(f"{module}:{len(source.splitlines())}: ")


@pytest.mark.parametrize(
    ("module", "source"),
    [
        pytest.param("alerts/rules.py", "from kokino.slo.budget import spent", id="a lower noun"),
        pytest.param("alerts/rules.py", "from kokino.alerts.model import Alert", id="a neighbour"),
        pytest.param("notify/store.py", "from kokino.storage.schema import outbox", id="a lower seam"),
        pytest.param("api/health.py", "from kokino import __version__", id="the version"),
        pytest.param("testing/broker.py", "from kokino.app import App", id="doubles know everything"),
        pytest.param(
            "drills/box.py", "from kokino.testing.clock import ManualClock", id="drills use doubles"
        ),
        pytest.param("cli/serve.py", "def f():\n  from kokino.app import App", id="serve starts a broker"),
    ],
)
def test_an_allowed_import_passes(module: str, source: str) -> None:
    """The rule stops nobody who keeps it."""
    assert import_faults(module, source) == []


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import datetime\nnow = datetime.now(tz)",
        "import datetime as dt\nnow = dt.datetime.utcnow()",
        "import time\nnow = time.time()",
        "from os import name\nfrom time import monotonic",
    ],
)
def test_asking_the_machine_for_the_time_is_seen(source: str) -> None:
    """Each way to ask is known, as call and as import."""
    assert len(clock_faults("slo/window.py", source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "from sqlalchemy import select",
        "import sqlalchemy as sa",
        "from sqlalchemy.dialects.postgresql import insert",
        "from kokino.storage.schema import events",
    ],
)
def test_building_a_query_outside_a_store_is_seen(source: str) -> None:
    """Neither the words of SQL nor the tables are to be had elsewhere."""
    assert len(sql_faults("slo/service.py", source)) == 1
    assert sql_faults("slo/store.py", source) == []
    assert sql_faults("slo/service.py", "from sqlalchemy import Connection") == []


@pytest.mark.parametrize(
    "source",
    [
        "from kokino.storage.schema import alerts",
        "from kokino.storage.schema import incidents, alerts as theirs",
        "from kokino.storage import schema",
        "import kokino.storage.schema",
    ],
)
def test_taking_another_parts_table_is_seen(source: str) -> None:
    """By its name, under another name, and all tables at once."""
    assert len(table_faults("incidents/store.py", source)) == 1


def test_taking_an_own_table_passes() -> None:
    """Whatever its module is called."""
    source = "from kokino.storage.schema import incidents as _incidents, timeline"
    assert table_faults("incidents/impact_store.py", source) == []
