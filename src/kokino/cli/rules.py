"""``kokino alerts test`` and ``kokino alerts backtest``: rules are proved before they watch anything."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from kokino.cli.answers import Format, Written
from kokino.cli.client import DEFAULT_URL, Url, get
from kokino.cli.serve import Home, chosen_home
from kokino.cli.terminal import console, counted, in_words, plain, table
from kokino.cli.words import parsed_length
from kokino.clock import iso
from kokino.errors import ConfigInvalid, Fault, KokinoError

if TYPE_CHECKING:
    from kokino.alerts.backtest import Backtest
    from kokino.alerts.rule import AlertRule
    from kokino.slo.model import Objectives
    from kokino.telemetry.model import Event

#: The most events that the API gives at a time.
AT_ONCE = 1000

Files = Annotated[
    list[Path] | None,
    typer.Argument(help="Rule files. Default: all rules, those of the home and those that ship."),
]
Only = Annotated[list[str] | None, typer.Option("--rule", help="Only the rule of this id; may be repeated.")]


def run_tests(files: Files = None, only: Only = None, home: Home = None) -> None:
    """Run the tests that rule files carry, in virtual time. Exit code 1 when one fails."""
    from kokino.alerts.rehearse import rehearse  # noqa: PLC0415 - loads what no other command needs

    rules, objectives = _read(files, only, home)
    shown = table()
    shown.add_column("Rule", overflow="fold")
    shown.add_column("Tests", justify="right")
    shown.add_column("", no_wrap=True)
    wrong: list[str] = []
    for rule in rules:
        found = [fault for one in rule.tests for fault in rehearse(rule, one, objectives)]
        wrong += [f"{rule.id}: {fault}" for fault in found]
        verdict = "failed" if found else "passed" if rule.tests else "none"
        shown.add_row(plain(rule.id), str(len(rule.tests)), verdict)
    console().print(shown)
    for fault in wrong:
        typer.echo(f"kokino: {plain(fault)}", err=True)
    if wrong:
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
    from kokino.alerts.backtest import backtest as replay  # noqa: PLC0415 - as above

    rules, objectives = _read(files, only, home)
    # The broker's time, not ours: it dated the events.
    until = _at(get(url, "/api/slo/status")["timestamp"])
    begin = until - parsed_length("--since", since)
    events = [*_events(url, begin)]
    # What always fires tells nothing of what happened.
    watched = [rule for rule in rules if rule.listens_to()]
    found = replay(watched, objectives, events, since=begin, until=until)
    if format is Format.JSON:
        typer.echo(json.dumps(_document(found), indent=2))
    else:
        _show(found)


def _read(
    files: Sequence[Path] | None, only: Sequence[str] | None, home: Path | None
) -> tuple[Sequence[AlertRule], Objectives]:
    """The rules that are meant. Raises `ConfigInvalid` with all faults, `KokinoError` for an unknown id."""
    from kokino.alerts import rulefile  # noqa: PLC0415 - as above
    from kokino.slo.openslo import load_objectives  # noqa: PLC0415

    faults: list[Fault] = []
    folder = chosen_home(home)
    objectives = load_objectives(folder, faults)
    rules = [*_in_files(files, faults)] if files else [*rulefile.load_rules(folder, faults)]
    if faults or objectives is None:
        raise ConfigInvalid(faults)
    known = [rule.id for rule in rules]
    if unknown := sorted(set(only or ()) - set(known)):
        raise KokinoError(f"there is no rule {unknown[0]!r}; there are: {', '.join(known)}")
    return [rule for rule in rules if not only or rule.id in only], objectives


def _in_files(files: Iterable[Path], faults: list[Fault]) -> Iterable[AlertRule]:
    from kokino.alerts.rulefile import read_rule  # noqa: PLC0415 - as above

    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            faults.append(Fault(field="file", message=f"cannot be read: {error}", file=str(path)))
            continue
        rule = read_rule(str(path), text, faults)
        if rule is not None:
            yield rule


def _events(url: str, since: datetime) -> Iterable[Event]:
    """Every event of the broker since then, the newest first."""
    from kokino.telemetry.model import Event  # noqa: PLC0415 - as above

    query: dict[str, str | int] = {"since": iso(since), "limit": AT_ONCE}
    while page := get(url, "/api/metrics/events", **query):
        for row in page:
            yield Event(**{_snake(key): value for key, value in row.items()} | {"at": _at(row["at"])})
        query["cursor"] = page[-1]["eventId"]


def _at(said: str) -> datetime:
    return datetime.fromisoformat(said).astimezone(UTC)


def _snake(key: str) -> str:
    return "".join(f"_{sign.lower()}" if sign.isupper() else sign for sign in key)


def _show(found: Backtest) -> None:
    length = in_words((found.until - found.since) // timedelta(milliseconds=1))
    summary = f"{counted(found.events, 'event')} of {length}, {counted(len(found.rules), 'rule')}"
    if not found.fired:
        console().print(f"Nothing would have fired: {summary}.")
        return
    console().print(_table(found))
    paging = sum(one.severity == "P1" for one in found.fired)
    console().print(f"{summary}: {counted(len(found.fired), 'alert')}, {paging} of them P1.", style="dim")


def _table(found: Backtest) -> Table:
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


def _document(found: Backtest) -> dict[str, Any]:
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
