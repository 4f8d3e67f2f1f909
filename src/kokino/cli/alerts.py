"""``kokino alerts``: what fires, why, who looks after it, and what is to be quiet."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kokino.cli import rules, silences
from kokino.cli.answers import Format, Written, age_ms, instant
from kokino.cli.client import DEFAULT_URL, Url, get, post
from kokino.cli.commands import Command, Group
from kokino.cli.terminal import ago, console, counted, plain, table
from kokino.errors import KokinoError

app = typer.Typer(
    cls=Group, help="See what fires and why; acknowledge, silence and test alerts.", no_args_is_help=True
)
app.command("test", cls=Command)(rules.run_tests)
app.command("backtest", cls=Command)(rules.backtest)
app.command("silence", cls=Command)(silences.silence)
app.command("silences", cls=Command)(silences.list_silences)
app.command("unsilence", cls=Command)(silences.unsilence)

Which = Annotated[str, typer.Argument(help="An alert's id, or its rule's where that has one alert.")]
#: What fires is shown first, then what is about to.
_ORDER = ("firing", "pending", "resolved", "inactive")


@app.command("list", cls=Command)
def list_alerts(
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what is resolved, and what never fired.")
    ] = False,
    format: Written = Format.TABLE,
    url: Url = DEFAULT_URL,
) -> None:
    """Show what fires or is about to, the gravest first. Exit code 0 whatever fires."""
    found = sorted(get(url, "/api/alerts"), key=_gravity)
    shown = [one for one in found if everything or _disturbs(one)]
    rules = get(url, "/api/alert-rules")
    if format is Format.JSON:
        typer.echo(json.dumps(shown, indent=2))
    elif everything:
        told = {one["ruleId"] for one in found}
        console().print(_table(shown, [rule for rule in rules if rule["ruleId"] not in told]))
    elif not shown:
        typer.echo(f"Nothing fires: {counted(len(rules), 'rule')} watched. --all shows them.")
    else:
        console().print(_table(shown))


@app.command("show", cls=Command)
def show(which: Which, format: Written = Format.TABLE, url: Url = DEFAULT_URL) -> None:
    """Show one alert: its state, who is told, what its rule measured."""
    alert = _find(url, which)
    if format is Format.JSON:
        typer.echo(json.dumps(alert, indent=2))
        return
    facts = table()
    facts.show_header = False
    facts.add_column("", style="dim", no_wrap=True)
    facts.add_column("", overflow="fold")
    for name, value in _facts(alert):
        facts.add_row(name, plain(value))
    console().print(facts)


@app.command("why", cls=Command)
def why(which: Which, format: Written = Format.TABLE, url: Url = DEFAULT_URL) -> None:
    """Say why an alert did or did not fire, page or escalate: from recorded reasons, and as of now."""
    if (rule := _without_alert(url, which)) is not None:
        if format is Format.JSON:
            typer.echo(json.dumps(rule, indent=2))
        else:
            console().print(plain(_never_fired(rule)))
        return
    alert = _find(url, which)
    if format is Format.JSON:
        kept = ("alertId", "ruleId", "state", "why", "present", "quiet", "escalation")
        typer.echo(json.dumps({name: alert[name] for name in kept}, indent=2))
        return
    console().print(plain(f"{alert['title']} is {alert['state']} since {instant(alert['since'])}."))
    for line in _said(alert):
        console().print(plain(line))
    for change in alert["why"]:
        turn = f"{change['fromState']} -> {change['toState']}"
        console().print(f"  {instant(change['at'])}  {turn}", style="bold")
        console().print(Padding(plain(change["reason"]), (0, 0, 0, 4)))


@app.command("ack", cls=Command)
def acknowledge(
    which: Which,
    by: Annotated[str | None, typer.Option("--by", help="Who looks after it.")] = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Say that somebody looks after an alert that fires.

    It stops reminders. A P1's further tiers still go unless its incident is mitigated; a P2's and a P3's are
    held back until the acknowledgement expires.
    """
    alert = _find(url, which)
    body = {} if by is None else {"by": by}
    done = post(url, f"/api/alerts/{alert['alertId']}/acknowledge", **body)
    until = done["acknowledgementEndsAt"]
    lasts = "for as long as it fires" if until is None else f"until {instant(until)}"
    typer.echo(f"{done['acknowledgedBy']} looks after {plain(done['title'])} {lasts}.")


def _find(url: str, which: str) -> Any:
    """One alert in full, by its own id or its rule's. Raises `KokinoError` where that is no single one."""
    found = [one for one in get(url, "/api/alerts") if which in {one["alertId"], one["ruleId"]}]
    if not found and (rule := _without_alert(url, which)) is not None:
        raise KokinoError(_never_fired(rule))
    if not found:
        raise KokinoError(f"there is no alert {which!r}: `kokino alerts list --all` shows what there is")
    firing = [one for one in found if one["state"] in {"firing", "pending"}]
    if len(found) > 1 and len(firing) != 1:
        ids = ", ".join(f"{one['alertId']} ({_labels(one)})" for one in found[:10])
        raise KokinoError(f"{which!r} has {counted(len(found), 'alert')}: name one by its id: {ids}")
    chosen = firing[0] if firing and len(found) > 1 else found[0]
    return get(url, f"/api/alerts/{chosen['alertId']}")


def _without_alert(url: str, which: str) -> Any | None:
    """The rule of that id, if it is one that has no alert."""
    rules = get(url, "/api/alert-rules")
    return next((one for one in rules if one["ruleId"] == which and not one["alerts"]), None)


def _never_fired(rule: Mapping[str, Any]) -> str:
    """Of a rule that is looked at when something happens, and for nobody before that."""
    each = "alert of an Alertmanager" if rule["received"] else " and ".join(rule["by"]).replace("_", " ")
    begun = ", ".join(rule["listensTo"])
    never = f"{rule['title']} ({rule['ruleId']}) has never fired, for any {each}"
    return f"{never}: it is looked at when one of these events is told: {begun}."


def _disturbs(alert: Mapping[str, Any]) -> bool:
    """True for what fires, or is about to, for people to see; the watchdog is there for machines."""
    return alert["state"] in {"firing", "pending"} and alert["severity"] != "none"


def _gravity(alert: Mapping[str, Any]) -> tuple[int, str]:
    return _ORDER.index(alert["state"]), alert["severity"] or ""


def _table(found: list[Any], rules: Sequence[Any] = ()) -> Table:
    """Alerts, and below them rules that have none."""
    shown = table()
    shown.add_column("Sev", no_wrap=True)
    shown.add_column("State", no_wrap=True)
    shown.add_column("Since", no_wrap=True)
    shown.add_column("Alert, and why", overflow="fold")
    for one in found:
        shown.add_row(
            one["severity"] if one["severity"] not in {None, "none"} else "-",
            _state(one),
            ago(age_ms(one["since"])),
            _named(
                one["title"] + (f" ({_labels(one)})" if _labels(one) else ""),
                (one["quiet"] or {}).get("reason") or one["measured"].get("reason", ""),
            ),
        )
    for rule in rules:
        severity = rule["severity"] if rule["severity"] != "none" else "-"
        shown.add_row(severity, "inactive", "-", _named(rule["title"], "it has never fired"))
    return shown


def _named(title: str, reason: str) -> Text:
    """Below each other: side by side, both would be narrow."""
    named = Text(plain(title), style="bold")
    return named.append(f"\n{plain(reason)}", style="not bold") if reason else named


def _state(alert: Mapping[str, Any]) -> str:
    if alert["quiet"] is not None:
        return str(alert["quiet"]["why"])
    return "acknowledged" if alert["acknowledgedBy"] and alert["state"] == "firing" else str(alert["state"])


def _labels(alert: Mapping[str, Any]) -> str:
    named = (alert["labels"].get(name) for name in ("agent", "cli_type"))
    return ", ".join(value for value in named if value)


def _facts(alert: Mapping[str, Any]) -> list[tuple[str, str]]:
    measured, escalation, quiet = alert["measured"], alert["escalation"], alert["quiet"]
    facts = [
        ("Alert", f"{alert['title']} ({alert['ruleId']}, {alert['alertId']})"),
        ("State", f"{alert['state']} since {instant(alert['since'])}"),
        ("Severity", str(alert["severity"])),
        ("Owner", " ".join(filter(None, [alert["owner"], alert["channel"]]))),
        ("Labels", ", ".join(f"{name}={value}" for name, value in sorted(alert["labels"].items()))),
        ("Playbook", alert["playbook"] or ""),
        ("Looked after by", alert["acknowledgedBy"] or ""),
        ("Quiet", "" if quiet is None else quiet["reason"]),
        ("Escalation", "" if escalation is None else f"{escalation['state']}: {escalation['reason']}"),
        ("Measured", measured.get("reason", "")),
    ]
    return [(name, value) for name, value in facts if value]


def _said(alert: Mapping[str, Any]) -> list[str]:
    """What holds at this moment."""
    said = []
    present, quiet, escalation = alert["present"], alert["quiet"], alert["escalation"]
    if present is not None:
        said.append(f"Now: {present['clearReason'] if alert['state'] == 'firing' else present['reason']}.")
        if present["dueAt"] is not None:
            said.append(f"Time alone can change that at {instant(present['dueAt'])}.")
    if quiet is not None:
        said.append(f"It tells nobody: {quiet['reason']}.")
    if escalation is not None and alert["state"] == "firing":
        due = "" if escalation["dueAt"] is None else f", looked at again at {instant(escalation['dueAt'])}"
        said.append(f"People: {escalation['reason']}{due}.")
    return said
