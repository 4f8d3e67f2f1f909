"""What the project's files promise each other."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import kokino

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
TARGET = re.compile(r"^([a-z]+):.*?(?:## (.*))?$", re.MULTILINE)
PIN = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[^]]*\])?==([^ ;\\]+)", re.MULTILINE)


def text(name: str) -> str:
    """A file of the project's root."""
    return (ROOT / name).read_text(encoding="utf-8")


def pyproject() -> dict[str, Any]:
    """The project's own description."""
    return tomllib.loads(text("pyproject.toml"))


def pins(lock: str) -> dict[str, str]:
    """The version that a lock file holds each distribution at."""
    return {canonicalize_name(name): pinned for name, pinned in PIN.findall(text(lock))}


def asked_for(lock: str) -> list[Requirement]:
    """The direct dependencies that a lock file must answer."""
    project = pyproject()
    groups = ["build"] if lock == "requirements.lock" else ["build", "dev"]
    named = [
        entry for group in groups for entry in project["dependency-groups"][group] if isinstance(entry, str)
    ]
    return [Requirement(line) for line in [*project["project"]["dependencies"], *named]]


def test_the_installed_version_is_the_package_s_own() -> None:
    """What pip shows and what the program says are one number."""
    assert version("kokino") == kokino.__version__


def test_the_change_log_begins_with_the_present_version() -> None:
    """Nothing is released that the change log does not know."""
    heading = re.search(r"^## (\S+)", text("CHANGELOG.md"), re.MULTILINE)
    assert heading is not None
    assert heading[1] == kokino.__version__


def test_every_line_of_the_change_log_has_its_type() -> None:
    """A reader who upgrades finds the CHANGE lines first."""
    entries = re.findall(r"^- (.*)", text("CHANGELOG.md"), re.MULTILINE)
    assert entries
    order = ("CHANGE", "FEATURE", "ENHANCEMENT", "BUGFIX")
    assert [entry for entry in entries if not entry.startswith(tuple(f"[{kind}] " for kind in order))] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_host(lock: str) -> None:
    """The lock says what is installed; each machine says from where."""
    assert (
        re.findall(r"^.*(?:://|--(?:extra-)?index|--find-links|--trusted-host).*$", text(lock), re.MULTILINE)
        == []
    )


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_each_distribution_by_its_hash(lock: str) -> None:
    """What is installed is what was locked, whoever served it."""
    logical = text(lock).replace("\\\n", " ").splitlines()
    pinned = [line for line in logical if line and not line.startswith("#")]
    assert [line for line in pinned if "==" not in line or "--hash=sha256:" not in line] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_answers_every_dependency(lock: str) -> None:
    """A dependency that was added, raised or dropped was locked again."""
    held = pins(lock)
    unanswered = [
        str(wanted)
        for wanted in asked_for(lock)
        if held.get(canonicalize_name(wanted.name), "") not in wanted.specifier
    ]
    assert unanswered == []


def test_tests_run_with_the_versions_that_users_get() -> None:
    """The larger lock holds all of the smaller one."""
    assert pins("requirements.lock").items() <= pins("requirements-dev.lock").items()


def test_every_make_target_is_explained() -> None:
    """A target has its word in `make help` and in CONTRIBUTING."""
    targets = dict(TARGET.findall(text("Makefile")))
    assert {"run", "test", "demo", "lint", "bench", "build", "lock", "clean", "help"} <= set(targets)
    assert [name for name, words in targets.items() if not words] == []
    assert [name for name in targets if f"`make {name}`" not in text("CONTRIBUTING.md")] == []


def test_the_licence_is_apache_2() -> None:
    """The text is there, whole, and named in the package."""
    licence = text("LICENSE")
    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
    assert pyproject()["project"]["license"] == "Apache-2.0"


def test_every_decision_is_in_the_index() -> None:
    """A decision record is found from the index, by its number and title."""
    index = text("docs/decisions/README.md")
    records = sorted(path.name for path in (ROOT / "docs/decisions").glob("[0-9]*.md"))
    assert [name for name in records if f"({name})" not in index] == []
