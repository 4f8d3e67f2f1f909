"""``kokino integrity``: whether the database is whole, what puts it right, and its backups."""

from __future__ import annotations

import typer

from kokino.cli import foreign_turns, integrity_cleanup, integrity_files, integrity_looks
from kokino.cli.commands import Command, Group

app = typer.Typer(
    cls=Group, help="Check the database, clean it up, back it up, restore it.", no_args_is_help=True
)
app.command("check", cls=Command)(integrity_looks.check)
app.command("stats", cls=Command)(integrity_looks.stats)
app.command("cleanup", cls=Command)(integrity_cleanup.cleanup)
app.command("foreign", cls=Command)(foreign_turns.show)
app.command("accept", cls=Command)(foreign_turns.accept)
app.command("remove", cls=Command)(foreign_turns.remove)
app.command("backup", cls=Command)(integrity_files.back_up)
app.command("restore", cls=Command)(integrity_files.restore)
