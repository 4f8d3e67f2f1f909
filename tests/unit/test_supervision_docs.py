"""docs/supervision.md tells what the program does."""

from __future__ import annotations

import ast
import importlib.util
import re
from inspect import signature
from pathlib import Path
from types import ModuleType

import pytest

from kokino.agents.settings import LimitSettings
from kokino.app.settings import ProcessSettings
from kokino.doctor.supervision import DELEGATE, LASTS
from kokino.process import promises
from kokino.process.model import Launch

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "supervision.md").read_text(encoding="utf-8")
UNIT = (ROOT / "contrib" / "kokino.service").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def running_docs() -> ModuleType:
    """The tests of the other page for operators, which know what commands there are."""
    spec = importlib.util.spec_from_file_location("running_docs", ROOT / "tests/unit/test_running_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def checks() -> set[str]:
    """The names of all promises that the self-check tries, and whether each is needed."""
    calls = [node for node in ast.walk(ast.parse(Path(promises.__file__).read_text())) if _is_try(node)]
    return {_row(call) for call in calls}


def _is_try(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_try"


def _row(call: ast.AST) -> str:
    assert isinstance(call, ast.Call)
    name = call.args[0]
    assert isinstance(name, ast.Constant)
    assert isinstance(name.value, str)
    return f"{name.value}: {'no' if call.keywords else 'yes'}"


def test_every_check_is_explained() -> None:
    """With whether it is needed; a check that is gone is gone from the page too."""
    section = PAGE.partition("## The self-check")[2].partition("## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \| [^|]+ \| (yes|no)", section, re.MULTILINE)
    assert {f"{name}: {needed}" for name, needed in rows} == checks()


def test_every_command_in_the_page_exists(running_docs: ModuleType) -> None:
    """With its options."""
    assert len(running_docs.CALL.findall(PAGE)) > 4
    assert running_docs.unknown_calls(PAGE) == []


def test_the_defaults_that_the_page_names_are_the_programs() -> None:
    """Deadlines, limits, hold, graces and how long an outcome is kept."""
    limits = LimitSettings()
    assert ProcessSettings().hold.total_seconds() == 30
    assert "`process.hold`, 30 seconds unless" in PAGE
    assert f"`timeout`, {limits.timeout.total_seconds():g} seconds in total" in PAGE
    assert f"`idle`, {limits.idle.total_seconds():g} seconds without output" in PAGE
    assert f"it has `grace`, {limits.grace.total_seconds():g} seconds" in PAGE
    assert f"| `memory_mb` | {limits.memory_mb} MiB |" in PAGE
    assert f"| `processes` | {limits.processes} |" in PAGE
    assert f"| `output_mb` | {limits.output_mb} MiB |" in PAGE
    assert signature(Launch).parameters["leftover_grace"].default.total_seconds() == 2
    assert "and killed after 2 seconds" in PAGE
    assert LASTS.total_seconds() == 600
    assert "told again for ten minutes" in PAGE


def test_what_the_page_says_of_systemd_is_in_the_unit() -> None:
    """And in the command that the doctor gives."""
    ini = PAGE.partition("```ini\n[Service]\n")[2].partition("```")[0].split()
    assert len(ini) == 3
    assert [line for line in ini if f"\n{line}\n" not in UNIT] == []
    assert [line for line in ini[:2] if f" -p {line}" not in DELEGATE] == []
    assert f"`-p {ini[2]}`" in PAGE
    assert f"\n{DELEGATE}\n" in PAGE
    assert "`Delegate=yes`" in (ROOT / "docs" / "running.md").read_text(encoding="utf-8")


def test_links_within_the_pages_lead_somewhere() -> None:
    """From here, and from where an operator begins."""
    for place, target in re.findall(r"\]\((\w[^)#:]*|\.\.[^)#]*)(#[^)]*)?\)", PAGE):
        assert (ROOT / "docs" / place).exists(), place + target
    assert "(docs/supervision.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
    running = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    assert "(supervision.md#a-control-group-of-its-own)" in running
    assert "\n### A control group of its own\n" in PAGE
