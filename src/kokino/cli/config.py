"""``kokino config check`` and ``kokino init``: the files of a home."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import typer

from kokino.cli.commands import Command, Group
from kokino.cli.serve import Home, chosen_home
from kokino.cli.terminal import counted, plain
from kokino.errors import KokinoError

app = typer.Typer(cls=Group, help="Check the files of a home.", no_args_is_help=True)

#: Package and folder of what ships, and its folder in a home.
SHIPPED = (
    ("kokino.slo", "objectives", "slo"),
    ("kokino.alerts", "rules", "alerts"),
    ("kokino.playbooks", "documents", "playbooks"),
)


@app.command("check", cls=Command)
def check(home: Home = None) -> None:
    """Check everything that a broker would read.

    That is kokino.toml, objectives, alert rules with their tests, and playbooks. All faults of all files are
    told at once, each with its file and line. Exit code 1 when there is one.
    """
    from kokino.app.trying import check_home  # noqa: PLC0415 - loads what no other command needs

    checked, tried = check_home(chosen_home(home))
    wrong = [f"{one.rule_id}: {fault}" for one in tried for fault in one.faults]
    for fault in wrong:
        typer.echo(f"kokino: {plain(fault)}", err=True)
    if wrong:
        raise typer.Exit(1)
    typer.echo(
        f"Good: {checked.config.file or 'no kokino.toml, so the defaults'};"
        f" {counted(len(checked.agents), 'agent')}, 5 objectives,"
        f" {counted(len(tried), 'alert rule')} that pass {counted(sum(one.tests for one in tried), 'test')},"
        f" {counted(len(checked.documents.playbooks.playbooks), 'playbook')}."
    )


def init(home: Home = None) -> None:
    """Write the objectives, alert rules and playbooks that ship into the home, to be edited there.

    A file that is there already is left as it is. What the home has takes the place of what ships; delete a
    file to go back to that.
    """
    folder = chosen_home(home)
    written = [*_write(folder)]
    if not written:
        typer.echo(f"{folder} has all of them already.")
        return
    for path in written:
        typer.echo(f"wrote {path}")


def _write(home: Path) -> Iterator[Path]:
    for package, shipped, own in SHIPPED:
        for source in sorted(files(package).joinpath(shipped).iterdir(), key=lambda one: one.name):
            target = home / own / source.name
            if source.name.endswith((".yaml", ".md")) and not target.exists():
                _copy(source, target)
                yield target


def _copy(source: Traversable, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    except OSError as error:
        raise KokinoError(f"{target} cannot be written: {error.strerror}") from error
