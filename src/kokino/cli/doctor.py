"""``kokino doctor``: whether a broker can do its work here, and what mends it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from kokino.cli.client import DEFAULT_URL, NoBroker, Url, get
from kokino.cli.serve import chosen_home
from kokino.cli.terminal import console, counted, plain, table
from kokino.clock import SystemClock


class Format(StrEnum):
    """How the findings are written."""

    TEXT = "text"
    JSON = "json"


class State(StrEnum):
    """What became of a check."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


STYLES = {State.OK: "green", State.WARNING: "yellow", State.FAILED: "bold red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of what the doctor says."""

    state: State
    #: A CLI type; empty for what concerns all.
    subject: str
    name: str
    message: str
    mend: str | None = None


def doctor(
    cli: Annotated[
        str | None, typer.Option("--cli", help="Only this CLI type; supervision is looked at anyway.")
    ] = None,
    format: Annotated[
        Format, typer.Option("--format", help="Text for people, JSON for programs.")
    ] = Format.TEXT,
    home: Annotated[
        Path | None,
        typer.Option("--home", help="Folder of kokino.toml and all data. Default: that of the broker."),
    ] = None,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 for warnings too.")] = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Say what is wrong with a broker, its machine and its CLIs, and which command mends it.

    A running broker is asked, and tries supervision anew for it. Without one, or with the --home of another,
    this command looks by itself. Exit code 0 only if everything that is needed is there.
    """
    found = _asked(url, home, cli)
    findings = list(_findings(found))
    worst = {State.FAILED, State.WARNING} if strict else {State.FAILED}
    passed = not any(finding.state in worst for finding in findings)
    if format is Format.JSON:
        typer.echo(json.dumps({"passed": passed, **found}, indent=2))
    else:
        _show(found, findings)
    raise typer.Exit(0 if passed else 1)


# -- what there is to know


def _asked(url: str, home: Path | None, cli: str | None) -> dict[str, Any]:
    """What a broker says, or what can be seen without one."""
    try:
        about = get(url, "/api/about")
    except NoBroker:
        return _seen(home, cli, f"none answers at {url}")
    if home is not None and about["home"] != str(chosen_home(home)):
        return _seen(home, cli, f"the one at {url} has the home {about['home']}")
    environment = get(url, "/api/health/environment", **({} if cli is None else {"cli": cli}))
    return {
        "broker": {"url": url, **{name: about[name] for name in ("version", "home", "pid")}},
        "unasked": None,
        "configuration": None,
        "supervision": get(url, "/api/health/supervision", fresh="true"),
        "environment": environment if cli is None else _alone(environment),
    }


def _alone(diagnosis: Mapping[str, Any]) -> dict[str, Any]:
    """One CLI type's findings, in the form that those of all have."""
    return {"overall": "healthy" if diagnosis["passed"] else "degraded", "results": [diagnosis]}


def _seen(home: Path | None, cli: str | None, unasked: str) -> dict[str, Any]:
    # Late: this loads the whole broker, which is not needed where one runs.
    from kokino.app.examine import examine  # noqa: PLC0415

    found = examine(chosen_home(home), os.environ, cli=cli, now=SystemClock().now())
    return {"broker": None, "unasked": unasked, **found}


# -- what it comes to


def _findings(found: Mapping[str, Any]) -> Iterator[Finding]:
    if (configuration := found["configuration"]) is not None:
        yield _finding(configuration)
    yield from _of_supervision(found["supervision"])
    for diagnosis in (found["environment"] or {"results": []})["results"]:
        subject = diagnosis["cliType"]
        yield from (_finding(check, subject) for check in diagnosis["checks"])
        yield from (_warning(text, subject) for text in diagnosis["warnings"])


def _of_supervision(supervision: Mapping[str, Any]) -> Iterator[Finding]:
    if "warden" in supervision:
        yield _of_warden(supervision)
    yield from map(_finding, supervision["checks"])
    yield from (_warning(text) for text in supervision["warnings"])


def _of_warden(supervision: Mapping[str, Any]) -> Finding:
    warden, load = supervision["warden"], supervision["running"]
    serves = warden["state"] == "serving"
    runs = ", ".join(
        (
            counted(load["executions"], "execution"),
            f"{load['processes']:,} processes",
            f"{load['memoryMB']:,.0f} MB",
        )
    )
    state = "serves" if serves else "died, another one is being started"
    return Finding(
        state=State.OK if serves else State.FAILED,
        subject="",
        name="warden",
        message=f"pid {warden['pid']} {state}; {runs}",
    )


def _finding(check: Mapping[str, Any], subject: str = "") -> Finding:
    failed = State.FAILED if check["isRequired"] else State.WARNING
    return Finding(
        state=State.OK if check["passed"] else failed,
        subject=subject,
        name=check["name"],
        message=check["message"],
        mend=check["mend"],
    )


def _warning(text: str, subject: str = "") -> Finding:
    return Finding(state=State.WARNING, subject=subject, name="", message=text)


# -- how it is shown


def _show(found: Mapping[str, Any], findings: list[Finding]) -> None:
    out = console()
    out.print(plain(_whom(found)), soft_wrap=False)
    general = [finding for finding in findings if not finding.subject]
    out.print(Text(f"\nBroker and supervision, tier: {found['supervision']['tier']}\n", style="bold"))
    out.print(_table(general))
    if particular := [finding for finding in findings if finding.subject]:
        out.print(Text("\nCLI types\n", style="bold"))
        out.print(_table(particular, subjects=True))
    out.print()
    if mends := [finding for finding in findings if finding.mend]:
        out.print(Text("To mend it\n", style="bold"))
        for finding in mends:
            out.print(plain(f"  {f'{finding.subject} {finding.name}'.strip()}:"))
            # Whole, however long: it is there to be copied.
            out.print(plain(f"    {finding.mend}"), soft_wrap=True)
        out.print()
    out.print(_summary(found, findings))


def _whom(found: Mapping[str, Any]) -> str:
    broker = found["broker"]
    if broker is None:
        return f"No broker was asked: {found['unasked']}. This is what can be seen without one."
    return f"The broker at {broker['url']} was asked: Kokino {broker['version']}, home {broker['home']}."


def _table(findings: list[Finding], *, subjects: bool = False) -> Table:
    shown = table()
    shown.add_column("", no_wrap=True, min_width=len(State.WARNING))
    if subjects:
        shown.add_column("CLI type", overflow="fold")
    shown.add_column("Check", overflow="fold")
    shown.add_column("Finding", overflow="fold", ratio=1)
    before = None
    for finding in findings:
        subject = [plain(finding.subject) if finding.subject != before else ""] if subjects else []
        state = Text(finding.state, style=STYLES[finding.state])
        shown.add_row(state, *subject, plain(finding.name), plain(finding.message))
        before = finding.subject
    return shown


def _summary(found: Mapping[str, Any], findings: list[Finding]) -> str:
    by_state = {state: sum(finding.state is state for finding in findings) for state in State}
    said = f"{counted(by_state[State.FAILED], 'check')} failed, {counted(by_state[State.WARNING], 'warning')}"
    told = f"{said}, {by_state[State.OK]} ok."
    environment = found["environment"]
    if environment is None:
        told += " CLI types were not looked at: the configuration has faults."
    elif not environment["results"]:
        told += " No agent uses any CLI type, so none was looked at."
    return told
