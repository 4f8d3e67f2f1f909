"""What is wrong with a value is said in words, and once."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import pytest
from pydantic import Field, ValidationError

from kokino.config import Length, Settings
from kokino.validation import causes, in_words


class Shown(Settings):
    """Something to get wrong."""

    waits: Annotated[Length, Field(ge=timedelta(hours=2), lt=timedelta(days=2))] = timedelta(hours=3)
    beats: Annotated[Length, Field(ge=timedelta(seconds=90))] = timedelta(minutes=2)
    numbers: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (1,)
    names: Annotated[tuple[str, ...], Field(min_length=2)] = ("a", "b")
    reason: Annotated[str, Field(min_length=1, max_length=5)] = "why"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"waits": "1h"}, ["must be at least 2h"]),
        ({"waits": "3d"}, ["must be shorter than 2d"]),
        ({"beats": "1s"}, ["must be at least 90s"]),
        ({"waits": "soon"}, ['must be a length of time such as "30s", "5m" or "1h"']),
        ({"reason": ""}, ["must not be empty"]),
        ({"reason": "because"}, ["must have at most 5 characters"]),
        ({"numbers": []}, ["must hold at least one"]),
        ({"numbers": [0]}, ["must be greater than or equal to 1"]),
        (
            {"numbers": [0, 0], "names": ["a"]},
            ["must be greater than or equal to 1"] * 2 + ["must hold at least 2"],
        ),
    ],
)
def test_what_is_wrong_is_said_once_and_in_words(values: dict[str, object], said: list[str]) -> None:
    """A list without a right entry is not called too short besides."""
    with pytest.raises(ValidationError) as caught:
        Shown.model_validate(values)
    assert [in_words(detail) for detail in causes(caught.value.errors())] == said
