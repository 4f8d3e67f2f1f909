"""``kokino alerts silence``, ``silences`` and ``unsilence``."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Annotated, Any

import typer
from rich.table import Table

from kokino.cli.answers import Format, Written, instant
from kokino.cli.client import DEFAULT_URL, Refused, Url, delete, get, pages, post
from kokino.cli.terminal import console, plain, table
from kokino.cli.words import parsed_length
from kokino.errors import KokinoError

_MATCHER = re.compile(r"\s*(?P<name>[^=!~\s]+)\s*(?P<sign>=~|!~|!=|=)(?P<value>.*)", re.DOTALL)

#: A label that is written wrongly fits nothing either.
NOTHING_FITS = "Nothing that fires now fits it."


def silence(
    which: Annotated[
        str | None, typer.Argument(help="An alert's id, or a rule's: then all alerts of that rule.")
    ] = None,
    *,
    match: Annotated[
        list[str] | None,
        typer.Option("--match", help="name=value, !=, =~expression or !~; all must fit. May be repeated."),
    ] = None,
    lasts: Annotated[
        str | None, typer.Option("--for", help="How long: 30m, 2h. Default: until it is resolved.")
    ] = None,
    comment: Annotated[str, typer.Option("--comment", "-m", help="Why, for those who wonder.")],
    by: Annotated[str | None, typer.Option("--by", help="Who says so.")] = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Keep alerts quiet for a while. They fire and are shown all the same, and tell nobody.

    Labels are agent, cli_type and those of the rule; alert, rule, severity and owner can be matched too.
    Those who were told before hear ten minutes before the silence ends, and again when it has.
    """
    body: dict[str, Any] = {"comment": comment, **({} if by is None else {"by": by})}
    if lasts is not None:
        parsed_length("--for", lasts)
        body["lasts"] = lasts
    body.update(_meant(url, which, match or []))
    made = post(url, "/api/silences", **body)
    until = "it is resolved, at the latest " if made["untilResolved"] else ""
    typer.echo(
        f"{made['silenceId']} keeps {plain(_words(made))} quiet until {until}{instant(made['endsAt'])}."
    )
    typer.echo(f"It fits {_firing(made['alerts'])}." if made["alerts"] else NOTHING_FITS)


def list_silences(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    format: Written = Format.TABLE,
    url: Url = DEFAULT_URL,
) -> None:
    """Show what is silenced, by whom, until when and why."""
    query: dict[str, str | int] = {"limit": 1000} if everything else {"active": "true"}
    found = list(pages(url, "/api/silences", **query))
    if format is Format.JSON:
        typer.echo(json.dumps(found, indent=2))
    elif not found:
        typer.echo("Nothing is silenced.")
    else:
        console().print(_table(found))


def unsilence(
    silence_id: Annotated[str, typer.Argument(help="The silence's id.")], url: Url = DEFAULT_URL
) -> None:
    """Take a silence back: what it kept quiet and still fires tells people at once."""
    try:
        ended = delete(url, f"/api/silences/{silence_id}")
    except Refused as error:
        if error.answer.status_code != HTTPStatus.NOT_FOUND:
            raise
        raise KokinoError(
            f"there is no silence {silence_id!r}: `kokino alerts silences --all` lists them"
        ) from error
    typer.echo(f"{ended['silenceId']} is over.")


def _meant(url: str, which: str | None, match: list[str]) -> dict[str, Any]:
    """Matchers, or one alert. Raises `KokinoError` for neither, or for what is no matcher."""
    if which is None and not match:
        raise KokinoError("say what is to be quiet: an alert, a rule, or --match name=value")
    if which is not None and not match and _is_alert(url, which):
        return {"alertId": which}
    named = [] if which is None else [{"name": "rule", "value": which}]
    return {"matchers": [*named, *(_matcher(said) for said in match)]}


def _is_alert(url: str, which: str) -> bool:
    """Raises `KokinoError` for what is neither an alert nor a rule that has one."""
    if which in {one["ruleId"] for one in get(url, "/api/alert-rules")}:
        return False
    found = get(url, "/api/alerts")
    if which in {one["alertId"] for one in found}:
        return True
    if which in {one["ruleId"] for one in found}:  # of a rule that is gone
        return False
    raise KokinoError(f"there is no alert and no rule {which!r}: `kokino alerts list --all` shows them")


def _matcher(said: str) -> dict[str, Any]:
    found = _MATCHER.fullmatch(said)
    if found is None:
        raise KokinoError(f"--match {said!r} is no matcher: write name=value, or !=, =~ or !~ in place of =")
    sign = found["sign"]
    return {
        "name": found["name"],
        "value": found["value"],
        "isRegex": sign.endswith("~"),
        "isEqual": not sign.startswith("!"),
    }


def _firing(count: int) -> str:
    return "1 alert that fires now" if count == 1 else f"{count:,} alerts that fire now"


def _words(silence: Any) -> str:
    signs = {(True, False): "=", (True, True): "=~", (False, False): "!=", (False, True): "!~"}
    return ", ".join(
        f"{one['name']}{signs[one['isEqual'], one['isRegex']]}{one['value']}" for one in silence["matchers"]
    )


def _table(found: list[Any]) -> Table:
    shown = table()
    shown.add_column("Silence", no_wrap=True, style="dim")
    shown.add_column("What and why", overflow="fold")
    shown.add_column("Until")
    for one in found:
        over = None if one["active"] else one["endedAt"] or one["endsAt"]
        until = f"over since {instant(over)}" if over else instant(one["endsAt"])
        until += " or resolved" if one["untilResolved"] and one["active"] else ""
        what = f"{_words(one)}\n{one['createdBy']}: {one['comment']}"
        shown.add_row(one["silenceId"], "\n".join(map(plain, what.split("\n", 1))), until)
    return shown
