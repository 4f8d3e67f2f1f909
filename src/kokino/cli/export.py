"""``kokino export``: what other monitoring needs to know of this one, as files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from kokino.cli.client import DEFAULT_URL
from kokino.cli.commands import Command, Group
from kokino.cli.serve import Home, chosen_home
from kokino.cli.words import parsed_length
from kokino.errors import KokinoError

app = typer.Typer(
    cls=Group, help="Write rules, a dashboard and objectives for other monitoring.", no_args_is_help=True
)

SECOND = timedelta(seconds=1)

Out = Annotated[
    Path | None,
    typer.Option("--out", help="A file, or a folder that there is. Default: the standard output."),
]


@app.command("prometheus", cls=Command)
def prometheus(
    out: Out = None,
    home: Home = None,
    interval: Annotated[
        str, typer.Option("--interval", help="How often Prometheus scrapes and evaluates.")
    ] = "15s",
    public_url: Annotated[
        str, typer.Option("--public-url", help="How people reach the broker, for links to playbooks.")
    ] = DEFAULT_URL,
) -> None:
    """Write the alert rules as rules for Prometheus.

    A folder gets a file for each rule, and beside it unit tests for promtool, made from the rule's own.
    """
    # Late: this loads the alert rules, which no other command needs.
    from kokino.exports import written  # noqa: PLC0415

    length = parsed_length("--interval", interval)
    if not SECOND <= length <= written.COARSEST:
        raise KokinoError(
            f"--interval {interval} must be from 1s to 4m, as the scrape_interval of the broker's job:"
            " Prometheus forgets what it has not heard of for 5 minutes"
        )
    found = written.prometheus(chosen_home(home), interval=length, public_url=public_url)
    _write(found.text, found.files, out)


@app.command("grafana", cls=Command)
def grafana(out: Out = None, home: Home = None) -> None:
    """Write the dashboard for Grafana, to be imported there. It asks Prometheus."""
    from kokino.exports import written  # noqa: PLC0415 - as above

    found = written.grafana(chosen_home(home))
    _write(found.text, found.files, out)


@app.command("openslo", cls=Command)
def openslo(out: Out = None, home: Home = None) -> None:
    """Write the objectives, and the conditions that watch how fast budgets burn, as OpenSLO v1."""
    from kokino.exports import written  # noqa: PLC0415 - as above

    found = written.openslo(chosen_home(home))
    _write(found.text, found.files, out)


def _write(text: str, files: Callable[[], Mapping[str, str]], out: Path | None) -> None:
    """`text` to a file or the standard output, `files` into a folder."""
    if out is None:
        typer.echo(text, nl=False)
    elif out.is_dir():
        _write_all({out / name: inside for name, inside in files().items()})
    else:
        _write_all({out: text})


def _write_all(texts: Mapping[Path, str]) -> None:
    for path, text in texts.items():
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise KokinoError(
                f"{path} cannot be written: {error.strerror}; --out takes a file, or a folder that there is"
            ) from error
        typer.echo(f"wrote {path}", err=True)
