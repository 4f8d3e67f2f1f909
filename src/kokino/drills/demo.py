"""The demonstration: a login expires under a working fleet, and what comes of it is told as it happens."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from rich.console import Console

from kokino.drills import report
from kokino.drills.fleet import Fleet
from kokino.drills.login_expires import EXPIRE_LOGIN, RENEW_LOGIN, START_LOAD, LoginExpires
from kokino.drills.observe import Facts
from kokino.drills.report import Lines, log_file
from kokino.drills.screen import Screen
from kokino.drills.stage import Stage, require_programs, set_up
from kokino.drills.story import Missed, Pace, Step, Teller, play
from kokino.errors import KokinoError
from kokino.log import start_logging

#: The CLI type whose login expires.
CLI_TYPE = "claude-code"
#: Real time between two looks, and what a busy machine may take on top of a step's budget.
LOOK_EVERY, ALLOWANCE = timedelta(seconds=0.3), timedelta(seconds=10)
#: For the whole story: on the broker's clock, and real time for what does not run by it.
LIMIT, LIMIT_ALLOWANCE = timedelta(minutes=16), timedelta(seconds=25)


def login_expires(fleet: Fleet) -> Sequence[Step]:
    """The story that ``kokino demo`` tells."""
    return LoginExpires(fleet=fleet, cli_type=CLI_TYPE).steps


async def demonstrate(
    console: Console,
    *,
    scale: float,
    port: int,
    keep: bool,
    story: Callable[[Fleet], Sequence[Step]] = login_expires,
) -> bool:
    """Play a story in a temporary home and tell it on `console`; True when every step was seen.

    `scale` is how many times faster than the machine's the broker's clock runs; `port` 0 takes a free one.
    The home is removed unless a step was missed or `keep` says so. Raises `KokinoError` when it cannot begin.
    """
    require_programs(os.environ.get("PATH", os.defpath))
    home = Path(tempfile.mkdtemp(prefix="kokino-demo-"))
    start_logging(log_file(home), to_terminal=False)
    is_kept = keep
    try:
        async with set_up(home, scale=scale, port=port) as stage:
            report.print_beginning(console, url=stage.url, home=home, scale=scale)
            began_at = stage.clock.now()
            missed, facts = await _tell(stage, console, scale, story(stage.fleet))
            took = stage.clock.now() - began_at
        is_kept = keep or missed is not None
        if missed is None and facts is not None:
            report.print_review(console, facts.document or "")
        report.print_verdict(console, missed, took=took, scale=scale)
        report.print_home(console, home, is_kept=is_kept)
        return missed is None
    except KokinoError:
        raise
    except Exception:
        is_kept = True
        report.print_home(console, home, is_kept=is_kept)
        raise
    finally:
        if not is_kept:
            shutil.rmtree(home, ignore_errors=True)


def pace(scale: float) -> Pace:
    """How the story is watched: real time is so many times longer on a clock that is so many times faster."""
    return Pace(
        look_every=LOOK_EVERY * scale, allowance=ALLOWANCE * scale, limit=LIMIT + LIMIT_ALLOWANCE * scale
    )


async def _tell(
    stage: Stage, console: Console, scale: float, steps: Sequence[Step]
) -> tuple[Missed | None, Facts | None]:
    """On a terminal the story has the whole screen while it happens, and stays there as lines afterwards."""
    lines = Lines(console)
    if not console.is_terminal:
        return await _play(stage, lines, scale, steps), lines.facts
    with Screen(console, fleet=stage.fleet, clock=stage.clock, scale=scale, address=stage.url) as screen:
        missed = await _play(stage, screen, scale, steps)
    for step, sighting in screen.told.seen:
        lines.seen(step, sighting)
    return missed, screen.told.facts


async def _play(stage: Stage, teller: Teller, scale: float, steps: Sequence[Step]) -> Missed | None:
    deeds = {
        START_LOAD: stage.load.start,
        EXPIRE_LOGIN: lambda: stage.fleet.expire(CLI_TYPE),
        RENEW_LOGIN: lambda: stage.fleet.renew(CLI_TYPE),
    }
    return await play(
        steps,
        look=stage.observer.look,
        deeds=deeds,
        clock=stage.clock,
        pace=pace(scale),
        teller=teller,
    )
