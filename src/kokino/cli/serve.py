"""``kokino serve``: run a broker until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from kokino.errors import KokinoError
from kokino.log import start_logging

Home = Annotated[
    Path | None,
    typer.Option("--home", help="Folder of kokino.toml and all data. Default: $KOKINO_HOME, else ~/.kokino."),
]


def serve(
    home: Home = None,
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on; before server.host.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="Port to listen on; before server.port."),
    ] = None,
    *,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Say what is wrong with the configuration or the database, and start nothing."
        ),
    ] = False,
) -> None:
    """Run a broker.

    SIGTERM lets executions end first (server.drain), SIGINT stops at once, SIGUSR2 restarts it and leaves
    executions running, as `kokino restart` does.
    """
    with _loading():
        # Late: these load the whole broker, which no other command needs.
        from kokino.app.handover import go_on  # noqa: PLC0415
        from kokino.app.serving import Serving, Wanted, check_wanted  # noqa: PLC0415

    wanted = Wanted(home=chosen_home(home), host=host, port=port)
    if check:
        good = check_wanted(wanted)
        for warning in good.warnings:
            typer.echo(f"kokino: warning: {warning}", err=True)
        typer.echo(good.sentence)
        return
    _make(wanted.home)
    serving = Serving(wanted, lambda url: typer.echo(f"Kokino answers at {url}", err=True))
    handover = asyncio.run(serving.run())
    if handover is not None:
        go_on(handover, serving.unheard)


@contextmanager
def _loading() -> Iterator[None]:
    """What is loaded stays to the end, so nobody looks for garbage in it.

    To do so took a fifth of the time to start, and later kept all requests waiting again and again.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _make(home: Path) -> None:
    """Make what a home has before its broker starts. Raises `KokinoError` where that cannot be."""
    try:
        # People write notes of their own into it, before the broker has written anything there.
        (home / "incidents").mkdir(parents=True, exist_ok=True)
        start_logging(home / "broker" / "logs" / "broker.log")
    except OSError as error:
        raise KokinoError(
            f"{home} cannot be a home: {error.strerror} ({error.filename}); choose another folder with --home"
            " or $KOKINO_HOME"
        ) from error


def chosen_home(option: Path | None) -> Path:
    """``--home``, else ``$KOKINO_HOME``, else ``~/.kokino``.

    Never the current folder by itself: agents write there. Raises `KokinoError` for what leads nowhere.
    """
    home = option or Path(os.environ.get("KOKINO_HOME") or "~/.kokino")
    try:
        return home.expanduser().resolve()
    except (RuntimeError, OSError) as error:  # nobody's ~, or links in a circle
        raise KokinoError(f"{home} leads to no folder: choose another with --home or $KOKINO_HOME") from error
