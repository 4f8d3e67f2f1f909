"""``kokino doctor``: whether a broker can do its work here, and what mends it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from kokino.cli.client import DEFAULT_URL, Url
from kokino.cli.facts import asked
from kokino.cli.findings import Finding, State, findings_of
from kokino.cli.terminal import console, counted, plain, table

STYLES = {State.OK: "green", State.WARNING: "yellow", State.FAILED: "bold red"}
#: What stands where the command that mends a failed check would.
NO_COMMAND = "(no command is known: the findings above tell what there is to do)"


class Format(StrEnum):
    """How the findings are written."""

    TEXT = "text"
    JSON = "json"


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

    A running broker is asked, and tries supervision and CLIs anew for it. Without one, or with the --home of
    another, this command looks and tries by itself. Exit code 0 only if everything that is needed is there.
    """
    found = asked(url, home, cli)
    findings = list(findings_of(found))
    worst = {State.FAILED, State.WARNING} if strict else {State.FAILED}
    passed = not any(finding.state in worst for finding in findings)
    if format is Format.JSON:
        typer.echo(json.dumps({"passed": passed, **found}, indent=2))
    else:
        _show(found, findings)
    raise typer.Exit(0 if passed else 1)


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
    if mends := list(_mends(findings)):
        out.print(Text("To mend it\n", style="bold"))
        for names, mend in mends:
            out.print(plain(f"  {names}:"))
            # Whole, however long: it is there to be copied.
            out.print(plain(f"    {mend}"), soft_wrap=True)
        out.print()
    out.print(_summary(found, findings))


def _mends(findings: list[Finding]) -> Iterator[tuple[str, str]]:
    """What each command mends, and last what failed and has none."""
    yield from ((_label(finding), finding.mend) for finding in findings if finding.mend)
    rest = [finding for finding in findings if finding.state is State.FAILED and not finding.mend]
    if rest:
        yield ", ".join(map(_label, rest)), NO_COMMAND


def _label(finding: Finding) -> str:
    return f"{finding.subject} {finding.name}".strip()


def _whom(found: Mapping[str, Any]) -> str:
    broker = found["broker"]
    if broker is None:
        return f"No broker was asked: {found['unasked']}. This is what can be seen without one."
    home = "" if broker["home"] is None else f", home {broker['home']}"
    said = f"The broker at {broker['url']} was asked: Kokino {broker['version']}{home}."
    return said if found["unasked"] is None else f"{said} Not for all: {found['unasked']}."


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
        told += " No agent uses any CLI type, so none was looked at: --cli NAME looks at one."
    return told
