"""What looks like a secret is masked, and what does not is left alone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kokino.storage.redact import MASK, redacted, secrets_of
from kokino.tokens import Scope, Tokens

TOKEN = Tokens(b"k" * 32).mint("x", [Scope.READ], ends_at=datetime(2026, 1, 5, tzinfo=UTC))


@pytest.mark.parametrize(
    "secret",
    [
        TOKEN,
        "sk-ant-api03-abcdefghijklmnop_-1234",
        "sk-proj-0123456789abcdef",
        "ghp_0123456789abcdefghijABCDEFGHIJ",
        "xoxb-0123456789-abcdef",
        "AIzaSyA0123456789abcdefghijklmnopqrstu",
        "https://hooks.slack.com/services/T0/B0/abcDEF123",
    ],
    ids=lambda secret: secret[:12],
)
def test_tokens_of_known_shape_are_masked_wherever_they_stand(secret: str) -> None:
    """In JSON, in a header, in an address; what stands around them is kept."""
    for text in ('{{"key": "{}"}}', "key={}&x=1", "said {}.\n", "{}"):
        assert redacted(text.format(secret)) == text.format(MASK)


def test_whatever_is_borne_is_masked() -> None:
    """The shape of a bearer token may be anybody's."""
    assert redacted("Authorization: Bearer abc.DEF-123=") == f"Authorization: Bearer {MASK}"


def test_secrets_that_we_know_are_masked_without_a_shape() -> None:
    """All of them, each time; an empty one masks nothing."""
    assert redacted("hunter2, hunter2 and swordfish", ["hunter2", "swordfish", ""]) == (
        f"{MASK}, {MASK} and {MASK}"
    )


@pytest.mark.parametrize(
    "text",
    ["", "task-force", "risk-0123", "the bearer of news", "https://hooks.example.com/services/x", "sk-1"],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    """A mask in the wrong place hides evidence."""
    assert redacted(text) == text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VENDOR_API_KEY", "canary"),
        ("DB_PASSWORD", "/canary/with/slashes"),
        ("PGPASS", "canary"),
        ("session_cookie", "canary"),
    ],
)
def test_a_variable_s_name_tells_that_it_holds_a_secret(name: str, value: str) -> None:
    """Whether it is inherited or set for a CLI."""
    assert list(secrets_of({name: value}, {})) == list(secrets_of({}, {name: value})) == [value]


@pytest.mark.parametrize(
    "value", ["hunter2-hunter2", "https://hooks.example.com/services/canary", "two words 2"]
)
def test_what_is_set_for_a_cli_may_be_a_secret_under_any_name(value: str) -> None:
    """What it inherits is the machine's."""
    assert list(secrets_of({"NOTE": value}, {})) == []
    assert list(secrets_of({"NOTE": "else"}, {"NOTE": value})) == [value]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOME", "/home/agent"),
        ("NODE_ENV", "production"),
        ("MODEL_URL", "http://127.0.0.1:8000/"),
        ("TIMEOUT_MS", "600000"),
        ("GIT_AUTHOR_NAME", "AliceWriter"),
        ("SHORT_KEY", "true"),
    ],
)
def test_a_plain_value_is_no_secret(name: str, value: str) -> None:
    """Masked, it would be missing in every path, and in ordinary sentences."""
    assert list(secrets_of({name: value}, {name: value})) == []


def test_a_password_in_an_address_is_a_secret_by_itself() -> None:
    """As it is written and as it is meant."""
    found = secrets_of({"HTTPS_PROXY": "http://bob:hunter2%21secret@proxy:3128"}, {})
    assert list(found) == ["hunter2%21secret", "hunter2!secret"]
