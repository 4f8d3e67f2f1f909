"""``kokino slo``: how the service levels stand, and how they did."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from kokino.cli.answers import Format, Written
from kokino.cli.client import DEFAULT_URL, Url, get
from kokino.cli.commands import Command, Group
from kokino.cli.terminal import console, table

app = typer.Typer(cls=Group, help="See how the service levels stand.", no_args_is_help=True)

#: Above this a share of the error budget is told in times and not in percent.
_MANY = 2.0
LEVELS = ("availability", "latency", "correctness", "integrity", "resources")


class Period(StrEnum):
    """What a report is over."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


@app.command("status", cls=Command)
def status(format: Written = Format.TABLE, url: Url = DEFAULT_URL) -> None:
    """Show every service level now: what was reached, its target, and what is left of its error budget."""
    found = get(url, "/api/slo/status")
    if format is Format.JSON:
        typer.echo(json.dumps(found, indent=2))
        return
    shown = _columns("Level", "Now", "Target", "Over", "Counted", "Budget left", "Alert")
    for name in LEVELS:
        level = found[name]
        window = level["window"]
        shown.add_row(
            name,
            _share(level["current"]),
            _target(level["target"]),
            "1 h" if name == "availability" else _days(window["days"]),
            _counted(window),
            _share(level["errorBudgetRemaining"]),
            level["alertState"],
            style="bold red" if level["breached"] else "",
        )
    console().print(shown)
    console().print(_quantiles(found["latency"]), style="dim")


@app.command("report", cls=Command)
def report(
    period: Annotated[Period, typer.Option("--period", help="Up to now.")] = Period.WEEKLY,
    *,
    format: Written = Format.TABLE,
    url: Url = DEFAULT_URL,
) -> None:
    """Show how every service level did over the last day, week or month. Exit code 1 where one was missed."""
    found = get(url, "/api/metrics/slo", period=period.value)
    if format is Format.JSON:
        typer.echo(json.dumps(found, indent=2))
    else:
        console().print(_report(found))
        over = f"{found['since'][:16]} to {found['until'][:16]} UTC"
        console().print(f"{over}; {_quantiles(found['latency']['quantiles'] or {})}", style="dim")
    if any(found[name]["compliant"] is False for name in LEVELS):
        raise typer.Exit(1)


def _report(found: Mapping[str, Any]) -> Table:
    shown = _columns("Level", "Reached", "Target", "Counted", "Budget spent", "")
    for name in LEVELS:
        level = found[name]
        shown.add_row(
            name,
            _share(level["current"]),
            _target(level["target"]),
            _counted(level),
            _spent(level["errorBudget"]["consumed"]),
            {True: "met", False: "missed", None: "no data"}[level["compliant"]],
            style="bold red" if level["compliant"] is False else "",
        )
    return shown


def _columns(*names: str) -> Table:
    shown = table()
    for name in names:
        shown.add_column(name, no_wrap=True, justify="left" if name in {"Level", "Alert", ""} else "right")
    return shown


def _share(value: float | None) -> str:
    return "no data" if value is None else f"{value * 100:.2f} %"


def _spent(share: float | None) -> str:
    """Of a budget that was overspent many times, how many times."""
    return f"{share:,.0f} times" if share is not None and share >= _MANY else _share(share)


def _target(value: float) -> str:
    return f"{value * 100:g} %"


def _days(days: float) -> str:
    return f"{days:g} d" if days >= 1 else f"{days * 24:g} h"


def _counted(level: Mapping[str, Any]) -> str:
    return f"{level['good']:,} of {level['total']:,}"


def _quantiles(latency: Mapping[str, Any]) -> str:
    values = ((name, latency.get(name)) for name in ("p50", "p95", "p99"))
    said = (f"{name} {'no data' if value is None else f'{value / 1000:,.1f} s'}" for name, value in values)
    return f"latency {', '.join(said)}"
