"""When a quota resets: the sentences of real CLIs as a table, and what is no such sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kokino.agents.resets import resets_at

#: A Monday, 9:00 in Greenwich, 10:00 in Berlin.
NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
#: What the machine of these rows shows, two hours ahead of Greenwich.
HERE = ZoneInfo("Africa/Cairo")


def at(*parts: int) -> datetime:
    """An instant in 2026, UTC: month, day, hour, minute."""
    return datetime(2026, *parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def after(**length: float) -> datetime:
    """So long from now."""
    return NOW + timedelta(**length)


CLAUDE = "You've hit your session limit · resets "
CODEX = (
    "You've hit your usage limit. Visit https://chatgpt.com/codex/settings/usage to purchase more credits or "
)

ROWS = [
    # Claude Code.
    ("Claude AI usage limit reached|1767610800", at(1, 5, 11, 0)),
    (f"{CLAUDE}3pm (Europe/Berlin)", at(1, 5, 14, 0)),
    (f"{CLAUDE}8:30pm (Asia/Tokyo)", at(1, 5, 11, 30)),
    (f"{CLAUDE}3pm", at(1, 5, 13, 0)),
    (f"{CLAUDE}8am", at(1, 6, 6, 0)),
    ("You've hit your usage limit · resets at midnight", at(1, 5, 22, 0)),
    ("5-hour limit reached ∙ resets 12am (UTC)", at(1, 6, 0, 0)),
    ("5-hour limit reached ∙ resets 12pm (UTC)", at(1, 5, 12, 0)),
    ("Claude usage limit reached. Your limit will reset at 1pm (Etc/GMT+5).", at(1, 5, 18, 0)),
    ("Weekly limit reached · resets Jan 12, 10:59am (America/New_York)", at(1, 12, 15, 59)),
    ("You've hit your limit · resets Apr 10 at 7am (America/Chicago)", at(4, 10, 12, 0)),
    ("Weekly limit reached · resets Oct 6, 3pm (UTC) · /upgrade to Max", at(10, 6, 15, 0)),
    ("limit reached, resets at 6am tomorrow (UTC)", at(1, 6, 6, 0)),
    ("Weekly limit reached · resets Thursday 3am (UTC)", at(1, 8, 3, 0)),
    ("Weekly limit reached · resets Thu, Jan 8, 3am (UTC)", at(1, 8, 3, 0)),
    # Codex.
    (f"{CODEX}try again in 3 days 4 hours 5 minutes.", after(days=3, hours=4, minutes=5)),
    (
        "You've hit your usage limit. Try again in 4 days 20 hours 9\nminutes.",
        after(days=4, hours=20, minutes=9),
    ),
    (f"{CODEX}try again at 3:05 PM.", at(1, 5, 13, 5)),
    (f"{CODEX}try again at Jan 8th, 2026 12:28 AM.", at(1, 7, 22, 28)),
    ("or try again at Jan 8th, 2026\n2:41 AM.", at(1, 8, 0, 41)),
    ("or try again at Jan 8, 2026, 7:38 AM", at(1, 8, 5, 38)),
    ("You've hit your usage limit. Try again Jan 18.", at(1, 17, 22, 0)),
    ('{"type":"usage_limit_reached","resets_at":1767610800,"resets_in_seconds":7200}', at(1, 5, 11, 0)),
    ('{"type":"usage_limit_reached","resets_in_seconds":13872}', after(seconds=13_872)),
    # Gemini CLI.
    ("Your quota will reset after 21h53m56s.", after(hours=21, minutes=53, seconds=56)),
    (
        "You have exhausted your capacity. Your quota will reset after 3h5m10s.",
        after(hours=3, minutes=5, seconds=10),
    ),
    ("Your quota will reset after 0s.. Retrying after 5710ms...", NOW),
    ("Please retry in 12.5s", after(seconds=12.5)),
    ('"retryDelay": "34.5s"', after(seconds=34.5)),
    ("Usage limit reached for gemini. Access resets at 10:57 PM GMT-3.", at(1, 6, 1, 57)),
    # OpenCode.
    ("weekly usage limit reached. It will reset in 10 hours 27 minutes", after(hours=10, minutes=27)),
    ("Free usage exceeded, subscribe to Go [retrying in 8h 13m attempt #1]", after(hours=8, minutes=13)),
    ("429 retryAfterMs=42694000", after(milliseconds=42_694_000)),
    # The services behind them.
    ("Rate limited: retry after 34s", after(seconds=34)),
    ("HTTP 429, Retry-After: 120", after(seconds=120)),
    ("Retry-After: Tue, 06 Jan 2026 07:28:00 GMT", at(1, 6, 7, 28)),
    ('"resetsAt":1767610800000', at(1, 5, 11, 0)),
    ("limit resets at: 2026-01-05T10:13:01+0000", datetime(2026, 1, 5, 10, 13, 1, tzinfo=UTC)),
    ("resets_at: 2026-01-05T10:13:00.500Z", at(1, 5, 10, 13)),
    ("quota resets 2026-01-05 15:00", at(1, 5, 13, 0)),
    ("resets at 15:30 (UTC)", at(1, 5, 15, 30)),
]


@pytest.mark.parametrize(("text", "expected"), ROWS, ids=[text[-60:] for text, _ in ROWS])
def test_a_reset_is_read_from_what_the_cli_says(text: str, expected: datetime) -> None:
    """In the zone that is named, else in the machine's."""
    assert resets_at(text, NOW, HERE) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "You have exhausted your daily quota on this model.",
        "You've hit your usage limit. Upgrade, or wait for limits to reset (every 5h and every week.).",
        "Free allocated quota exceeded.",
        "resets 3",
        "resets Feb 30, 3pm",
        "resets 13pm",
        "resets at 25:00",
        "try again later",
        "try again in 99999999999999 days",
        "Process 1767610800 failed at 3pm",
        "error code: 429 in 3 days",
    ],
)
def test_what_tells_no_reset_is_no_reset(text: str) -> None:
    """Nothing is made up from numbers that mean something else."""
    assert resets_at(text, NOW, HERE) is None


def test_a_time_of_day_that_was_just_now_is_not_tomorrow() -> None:
    """The sentence took a moment to get here; what is longer ago is meant for the next day."""
    assert resets_at("resets 8:56am (UTC)", NOW, HERE) == at(1, 5, 8, 56)
    assert resets_at("resets 8:54am (UTC)", NOW, HERE) == at(1, 6, 8, 54)


def test_a_date_without_a_year_is_the_next_such_one() -> None:
    """In December, January is next year's."""
    december = datetime(2026, 12, 30, 9, 0, tzinfo=UTC)
    assert resets_at("resets Jan 2, 3pm (UTC)", december, HERE) == datetime(2027, 1, 2, 15, 0, tzinfo=UTC)


def test_a_zone_that_nobody_knows_is_the_machines() -> None:
    """It is still nearer than a guess."""
    assert resets_at("resets 3pm (Mars/Olympus_Mons)", NOW, HERE) == at(1, 5, 13, 0)


def test_the_first_thing_that_tells_an_instant_counts() -> None:
    """What cannot be read is passed over."""
    assert resets_at("try again later: your quota will reset after 2h", NOW, HERE) == after(hours=2)


@given(st.text(alphabet="resetryagin atfuo0123456789:|-+/().,pmhdZT\n", max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    """Agents say anything at all."""
    found = resets_at(f"resets {text}", NOW, HERE)
    assert found is None or found.tzinfo is not None
