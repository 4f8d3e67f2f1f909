"""``kokino demo``: an outage, from the first failure to the written incident."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Annotated

import typer

#: Virtual seconds in a real one: fast enough for a minute's story, slow enough for two busy cores.
SCALE = 15.0


def demo(
    scale: Annotated[
        float, typer.Option("--scale", min=1, max=30, help="How many times faster than yours its clock runs.")
    ] = SCALE,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port of its broker; 0 takes a free one.")
    ] = 0,
    keep: Annotated[bool, typer.Option("--keep", help="Keep its temporary home, whatever the end.")] = False,
) -> None:
    """Watch an outage being noticed, paged, investigated, repaired, verified and written down.

    Exit code 0 only if every step was seen to happen.
    """
    # Nothing of the demo leaves this machine: a proxy for the outside must not come between.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"
    try:
        was_seen = asyncio.run(_demonstrate(scale, port, keep=keep))
    except (KeyboardInterrupt, asyncio.CancelledError):
        typer.echo("kokino demo was interrupted; everything that it started has ended", err=True)
        raise typer.Exit(130) from None
    raise typer.Exit(0 if was_seen else 1)


async def _demonstrate(scale: float, port: int, *, keep: bool) -> bool:
    # Late: these load the whole broker, which no other command needs.
    from rich.console import Console  # noqa: PLC0415

    from kokino.drills.demo import demonstrate  # noqa: PLC0415

    if (task := asyncio.current_task()) is not None:
        # What SIGINT does, SIGTERM does too: everything is ended in order.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await demonstrate(Console(highlight=False), scale=scale, port=port, keep=keep)
