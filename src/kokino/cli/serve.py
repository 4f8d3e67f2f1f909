"""``kokino serve``: run a broker until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from kokino.config import load
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
    port: Annotated[int | None, typer.Option("--port", help="Port to listen on; before server.port.")] = None,
) -> None:
    """Run a broker. SIGTERM lets executions end first (server.drain), SIGINT stops at once."""
    folder = chosen_home(home)
    # People write notes of their own into it, before the broker has written anything there.
    (folder / "incidents").mkdir(parents=True, exist_ok=True)
    start_logging(folder / "broker" / "logs" / "broker.log")
    asyncio.run(_serve(folder, host, port))


def chosen_home(option: Path | None) -> Path:
    """``--home``, else ``$KOKINO_HOME``, else ``~/.kokino``.

    Never the current folder by itself: agents write there.
    """
    return (option or Path(os.environ.get("KOKINO_HOME") or "~/.kokino")).expanduser().resolve()


async def _serve(home: Path, host: str | None, port: int | None) -> None:
    # Late: these load the whole broker, which no other command needs.
    from kokino.app import Broker  # noqa: PLC0415

    stopping: asyncio.Future[signal.Signals] = asyncio.get_running_loop().create_future()

    def stop(number: signal.Signals) -> None:
        if not stopping.done():
            stopping.set_result(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    broker = await Broker.start(load(home), host=host, port=port)
    typer.echo(f"Kokino answers at {broker.url}", err=True)
    number = await stopping
    await broker.stop(drain=timedelta(0) if number is signal.SIGINT else None)
