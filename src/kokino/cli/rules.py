"""``kokino alerts test`` and ``kokino alerts backtest``: rules are proved before they watch anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from kokino.cli.answers import Format, Written
from kokino.cli.client import DEFAULT_URL, Url, get
from kokino.cli.serve import Home, chosen_home
from kokino.cli.terminal import console, counted, in_words, plain, table
from kokino.cli.words import parsed_length
from kokino.clock import iso

#: The most events that the API gives at a time.
AT_ONCE = 1000

Files = Annotated[
    list[Path] | None,
    typer.Argument(help="Rule files. Default: all rules, those of the home and those that ship."),
]
Only = Annotated[list[str] | None, typer.Option("--rule", help="Only the rule of this id; may be repeated.")]


def run_tests(files: Files = None, only: Only = None, home: Home = None) -> None:
    """Run the tests that rule files carry, in virtual time. Exit code 1 when one fails."""
    # Late: this loads the broker's rules, which no other command needs.
    from kokino.app import trying  # noqa: PLC0415

    found = trying.run_tests(files or [], only or [], chosen_home(home))
    shown = table()
    shown.add_column("Rule", overflow="fold")
    shown.add_column("Tests", justify="right")
    shown.add_column("", no_wrap=True)
    for one in found:
        verdict = "failed" if one.faults else "passed" if one.tests else "none"
        shown.add_row(plain(one.rule_id), str(one.tests), verdict)
    console().print(shown)
    for one in found:
        for fault in one.faults:
            typer.echo(f"kokino: {plain(f'{one.rule_id}: {fault}')}", err=True)
    if any(one.faults for one in found):
        raise typer.Exit(1)


def backtest(
    files: Files = None,
    only: Only = None,
    *,
    since: Annotated[str, typer.Option("--since", help="How far back: 30d, 12h.")] = "30d",
    home: Home = None,
    format: Written = Format.TABLE,
    url: Url = DEFAULT_URL,
) -> None:
    """Replay a broker's history through rules, and say when they would have fired.

    It reads the events of the broker at --url and works on them here, so a rule can be tried on what
    happened before it watches anything: give its file. Windows that reach back further than --since begin
    empty there.
    """
    from kokino.app import trying  # noqa: PLC0415 - as above

    length = parsed_length("--since", since)
    # The broker's time, not ours: it dated the events.
    until = datetime.fromisoformat(get(url, "/api/slo/status")["timestamp"]).astimezone(UTC)
    rows = _events(url, until - length)
    found = trying.replay(files or [], only or [], chosen_home(home), rows, until=until, length=length)
    if format is Format.JSON:
        typer.echo(json.dumps(_document(found), indent=2))
    else:
        _show(found)


def _events(url: str, since: datetime) -> Iterator[Any]:
    """Every event of the broker since then, the newest first."""
    query: dict[str, str | int] = {"since": iso(since), "limit": AT_ONCE}
    while page := get(url, "/api/metrics/events", **query):
        yield from page
        query["cursor"] = page[-1]["eventId"]


def _show(found: Any) -> None:
    length = in_words((found.until - found.since) // timedelta(milliseconds=1))
    summary = f"{counted(found.events, 'event')} of {length}, {counted(len(found.rules), 'rule')}"
    if not found.fired:
        console().print(f"Nothing would have fired: {summary}.")
        return
    console().print(_table(found))
    paging = sum(one.severity == "P1" for one in found.fired)
    console().print(f"{summary}: {counted(len(found.fired), 'alert')}, {paging} of them P1.", style="dim")


def _table(found: Any) -> Table:
    shown = table()
    shown.add_column("Fired", no_wrap=True)
    shown.add_column("For", no_wrap=True, justify="right")
    shown.add_column("Alert", overflow="fold")
    shown.add_column("Why", overflow="fold")
    for one in found.fired:
        named = ", ".join(one.labels.values())
        shown.add_row(
            f"{one.fired_at:%Y-%m-%d %H:%M}",
            "still" if one.resolved_at is None else _length(one.resolved_at - one.fired_at),
            plain(f"{one.severity} {one.rule_id}" + (f" ({named})" if named else "")),
            plain(one.reason),
        )
    return shown


def _length(lasted: timedelta) -> str:
    minutes = int(lasted.total_seconds() // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"


def _document(found: Any) -> dict[str, Any]:
    return {
        "since": iso(found.since),
        "until": iso(found.until),
        "events": found.events,
        "rules": list(found.rules),
        "fired": [
            {
                "ruleId": one.rule_id,
                "severity": one.severity,
                "labels": one.labels,
                "firedAt": iso(one.fired_at),
                "resolvedAt": None if one.resolved_at is None else iso(one.resolved_at),
                "condition": one.condition,
                "reason": one.reason,
            }
            for one in found.fired
        ],
    }
