"""What looks like a secret is masked, and what does not is left alone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kokino.storage.redact import MASK, redacted
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
