"""``kokino shadow``: how headless compares with tmux, and whether it can take over."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from kokino.cli.answers import Format, Written, age_ms, instant
from kokino.cli.client import DEFAULT_URL, Url, get, post
from kokino.cli.commands import Command, Group
from kokino.cli.terminal import ago, console, counted, plain, table

app = typer.Typer(cls=Group, help="See how headless compares with tmux, and decide.", no_args_is_help=True)

#: In the order in which they are asked.
LAYERS = ("outcome", "files", "exact", "normalised", "similarity")
#: Agents that are shown; --format json has them all.
SHOWN = 10
STYLES = {"+": "green", "-": "red", "@": "cyan", "…": "dim"}


class Side(StrEnum):
    """One of the two ways."""

    TMUX = "tmux"
    HEADLESS = "headless"


Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most, the newest first.")]


@app.command("metrics", cls=Command)
def metrics(
    days: Annotated[int, typer.Option("--days", min=1, max=90, help="How far back.")] = 7,
    *,
    format: Written = Format.TABLE,
    url: Url = DEFAULT_URL,
) -> None:
    """Show how many comparisons match, how long each way takes, and what it costs."""
    found = get(url, "/api/shadow-mode/metrics", days=days)
    if format is Format.JSON:
        typer.echo(json.dumps(found, indent=2))
        return
    shown = console()
    shown.print(plain(found["summary"]), style="" if found["shadowMode"]["enabled"] else "bold yellow")
    if found["totals"]["comparisons"]:
        shown.print()
        shown.print(_sides(found))
        shown.print()
        shown.print(_layers(found))
        shown.print()
        shown.print(_agents(found["byAgent"]))
    for line in _remarks(found):
        shown.print(plain(line), style="dim")


@app.command("mismatches", cls=Command)
def mismatches(limit: Limit = 5, format: Written = Format.TABLE, url: Url = DEFAULT_URL) -> None:
    """Show the latest mismatches, each with its diff: - is tmux, + is headless."""
    found = get(url, "/api/shadow-mode/mismatches", limit=limit)
    if format is Format.JSON:
        typer.echo(json.dumps(found, indent=2))
    elif not found["items"]:
        typer.echo("No mismatch is known: whatever was compared came to the same.")
    else:
        for number, one in enumerate(found["items"]):
            if number:
                console().print()
            _show(one)
        if found["nextCursor"] is not None:
            console().print(f"\nThere are older ones: --limit {limit * 4} shows more.", style="dim")


@app.command("failures", cls=Command)
def failures(
    *,
    mode: Annotated[Side | None, typer.Option("--mode", help="Only of this way.")] = None,
    limit: Limit = 20,
    format: Written = Format.TABLE,
    url: Url = DEFAULT_URL,
) -> None:
    """Show which compared executions failed, and on which way."""
    only = {} if mode is None else {"mode": mode.value}
    found = get(url, "/api/shadow-mode/failures", limit=limit, **only)
    if format is Format.JSON:
        typer.echo(json.dumps(found, indent=2))
    elif not found["items"]:
        typer.echo("Nothing that was compared has failed" + (f" by {mode.value}." if mode else "."))
    else:
        console().print(_failures(found["items"]))


@app.command("decision", cls=Command)
def decision(format: Written = Format.TABLE, url: Url = DEFAULT_URL) -> None:
    """Say whether headless can take over, by five criteria over 30 days. Exit code 1 unless it can."""
    found = get(url, "/api/shadow-mode/decision")
    if format is Format.JSON:
        typer.echo(json.dumps(found, indent=2))
    else:
        console().print(_criteria(found["criteria"]))
        console().print()
        console().print(_answer(found), style="bold green" if found["answer"] == "ready" else "bold")
    if found["answer"] != "ready":
        raise typer.Exit(1)


Why = Annotated[str, typer.Option("--reason", help="Why; it is shown wherever shadow mode is.")]


@app.command("disable-all", cls=Command)
def disable_all(reason: Why = "by hand", url: Url = DEFAULT_URL) -> None:
    """Compare nothing more: agents in shadow mode run by tmux alone, and their callers notice nothing."""
    found = post(url, "/api/shadow-mode/disable-all", reason=reason)
    typer.echo(f"Shadow mode is off since {instant(found['since'])}: {plain(found['reason'])}.")
    typer.echo("`kokino shadow enable` switches it on again.")


@app.command("enable", cls=Command)
def enable(reason: Why = "by hand", url: Url = DEFAULT_URL) -> None:
    """Compare again."""
    post(url, "/api/shadow-mode/enable", reason=reason)
    typer.echo("Shadow mode is on.")


def _sides(found: Mapping[str, Any]) -> Table:
    latency, resources, rates = found["latency"], found["resources"], found["rates"]
    shown = table()
    shown.add_column("", no_wrap=True, min_width=18)
    shown.add_column("tmux", justify="right", no_wrap=True, min_width=12)
    shown.add_column("headless", justify="right", no_wrap=True, min_width=12)
    both = ("tmux", "headless")
    rows = (
        ("Answered", [_share(rates["tmuxSuccess"]), _share(rates["headlessSuccess"])]),
        ("Half within", [_seconds(latency[side]["p50Ms"]) for side in both]),
        ("95 % within", [_seconds(latency[side]["p95Ms"]) for side in both]),
        ("Mean peak memory", [_megabytes(resources[side]["meanPeakMemoryMB"]) for side in both]),
        ("Cost", [_dollars(resources[side]["costUsd"]) for side in both]),
    )
    for name, (tmux, headless) in rows:
        shown.add_row(name, tmux, headless)
    return shown


def _layers(found: Mapping[str, Any]) -> Table:
    shown = table()
    shown.add_column("Decided by", no_wrap=True, min_width=18)
    shown.add_column("Matches", justify="right", min_width=12)
    shown.add_column("Mismatches", justify="right", min_width=12)
    for layer in LAYERS:
        matched, mismatched = (found[name].get(layer, 0) for name in ("matchedBy", "mismatchedBy"))
        if matched or mismatched:
            shown.add_row(layer, f"{matched:,}", f"{mismatched:,}", style="" if not mismatched else "red")
    totals = found["totals"]
    shown.add_row("all", f"{totals['matches']:,}", f"{totals['mismatches']:,}", style="bold")
    return shown


def _agents(found: list[Any]) -> Table:
    shown = table()
    shown.add_column("Agent", overflow="ellipsis", min_width=18)
    for name in ("Compared", "Match", "Answered", "p95 tmux", "headless"):
        shown.add_column(name, justify="right", no_wrap=True)
    worst = sorted(found, key=lambda one: (one["rates"]["match"] or 0, one["agentId"]))
    for one in worst[:SHOWN]:
        shown.add_row(
            plain(one["agentId"]),
            f"{one['totals']['comparisons']:,}",
            _share(one["rates"]["match"]),
            _share(one["rates"]["headlessSuccess"]),
            _seconds(one["latency"]["tmux"]["p95Ms"]),
            _seconds(one["latency"]["headless"]["p95Ms"]),
        )
    return shown


def _remarks(found: Mapping[str, Any]) -> list[str]:
    totals, said = found["totals"], []
    if len(found["byAgent"]) > SHOWN:
        said.append(f"The {SHOWN} agents that match least; --format json has all.")
    if totals["regressions"]:
        said.append(f"Headless was much slower in {counted(totals['regressions'], 'comparison')}.")
    if found["running"]:
        said.append(f"{counted(found['running'], 'comparison')} not over yet.")
    said += [
        f"{counted(count, 'time')} not compared: {why}" for why, count in found["notComparedFor"].items()
    ]
    return said


def _show(one: Mapping[str, Any]) -> None:
    shown = console()
    shown.print(plain(f"{one['agentId']} ({one['cliType']}): {one['reason']}"), style="bold")
    tmux, headless = one["tmux"], one["headless"]
    took = f"tmux {_seconds(tmux['durationMs'])}, headless {_seconds(headless['durationMs'])}"
    shown.print(f"{ago(age_ms(one['endedAt']))}, {took}", style="dim")
    shown.print(plain(f"{one['executionId']}"), style="dim")
    for line in (one["diff"] or "").splitlines():
        shown.print(Text(plain(line), style=STYLES.get(line[:1], "")))


def _failures(found: list[Any]) -> Table:
    shown = table()
    shown.add_column("When", no_wrap=True)
    shown.add_column("Way", no_wrap=True)
    shown.add_column("Agent", overflow="ellipsis", max_width=18)
    shown.add_column("Kind", no_wrap=True)
    shown.add_column("Why", overflow="fold")
    for one in found:
        shown.add_row(
            ago(age_ms(one["endedAt"])),
            one["mode"],
            plain(one["agentId"]),
            one["kind"] or one["state"],
            plain(one["error"] or ""),
        )
    return shown


def _criteria(found: list[Any]) -> Table:
    shown = table()
    shown.add_column("", no_wrap=True)
    shown.add_column("Criterion", overflow="fold", max_width=34)
    shown.add_column("Measured", overflow="fold")
    marks = {True: Text("met", "green"), False: Text("not met", "bold red"), None: Text("open", "yellow")}
    for one in found:
        shown.add_row(marks[one["met"]], one["title"], plain(one["said"]))
    return shown


def _answer(found: Mapping[str, Any]) -> str:
    return {
        "ready": "Headless can take over: every criterion is met.",
        "not_ready": "Headless is not ready to take over.",
        "not_enough_data": "There is not enough data to decide yet.",
    }[found["answer"]]


def _share(value: float | None) -> str:
    """Rounded down: 99.95 % is not all."""
    return "no data" if value is None else f"{int(value * 1000) / 10:g} %"


def _seconds(ms: int | None) -> str:
    return "-" if ms is None else f"{ms / 1000:,.1f} s"


def _megabytes(size: float | None) -> str:
    return "-" if size is None else f"{size:,.0f} MB"


def _dollars(amount: float | None) -> str:
    return "not told" if amount is None else f"${amount:,.2f}"
