"""The reference pages tell what the code does, because they are written from it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """The program behind `make docs`."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["configuration", "api"])
def test_a_reference_page_is_what_make_docs_would_write(reference: ModuleType, page: str) -> None:
    """A setting or route that changed is told of; run `make docs` when this fails."""
    assert getattr(reference, page)() == (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")


def test_what_is_there_for_other_monitoring_is_what_make_docs_would_write(reference: ModuleType) -> None:
    """A rule or panel that changed is exported; run `make docs` when this fails."""
    for name, text in reference.monitoring().items():
        assert text == (ROOT / "monitoring" / name).read_text(encoding="utf-8"), name


def test_every_setting_says_what_it_means(reference: ModuleType) -> None:
    """No row of the configuration page is without its meaning."""
    assert "| None |" not in reference.configuration()


def test_every_request_says_what_it_does(reference: ModuleType) -> None:
    """No row of the API page is empty."""
    assert "|  |" not in reference.api()


@pytest.mark.parametrize(
    ("setting", "kind"),
    [("retries", "table of numbers from 0 to 10"), ("spend_usd", "number"), ("env", "table of texts")],
)
def test_a_setting_is_shown_as_the_kind_that_it_takes(reference: ModuleType, setting: str, kind: str) -> None:
    """Numbers are not written in quotes, so they are not called texts."""
    assert f"| `{setting}` | {kind} |" in reference.configuration()
