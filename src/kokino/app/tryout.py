"""CLIs are tried out without a broker: under a warden that lives as long as that takes."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

from kokino.agents.names import in_full
from kokino.app.settings import Checked
from kokino.doctor.examiner import Examiner
from kokino.doctor.looks import chosen
from kokino.doctor.model import Diagnosis
from kokino.doctor.onlooker import Onlooker
from kokino.doctor.trial import unmade
from kokino.errors import ProcessError
from kokino.process.client import Warden
from kokino.process.linux import LONGEST_SOCKET_PATH

#: How long what was started outlives a command that is killed. A warden waits as long for its first broker.
HOLD = timedelta(seconds=5)
#: What comes behind the folder of all temporary ones in the path of the warden's socket.
_BELOW = "/kokino-12345678/warden.sock"


async def diagnose(checked: Checked, *, cli: str | None, now: datetime) -> list[Diagnosis]:
    """Check the CLI type `cli`, or all that agents use, as a broker would; nothing is left behind.

    Where no warden can be had, nothing is started, and each diagnosis says so. Raises `NotFound` for a name
    that is none.
    """
    names = chosen(checked.cli_types, checked.agents, None if cli is None else in_full(cli))
    if not names:
        return []
    types, agents = [checked.cli_types[name] for name in names], checked.agents
    try:
        async with _examiner(checked) as examiner:
            return await asyncio.gather(*(examiner.examine(one, agents, now) for one in types))
    except (ProcessError, OSError) as error:
        not_tried = unmade(f"there is no warden to start it: {error}")
        onlooker = Onlooker(
            settings=checked.doctor, environment=checked.environment, home=checked.config.home
        )
        looks = (onlooker.glance(one, agents, now, not_tried=not_tried) for one in types)
        return await asyncio.gather(*looks)


@asynccontextmanager
async def _examiner(checked: Checked) -> AsyncIterator[Examiner]:
    """One with a warden of its own, which is gone afterwards with all that it ran."""
    with tempfile.TemporaryDirectory(prefix="kokino-", dir=_room()) as name:
        folder = Path(name)
        with _ended_in_order():
            warden = await Warden.attach(folder, hold=HOLD)
            try:
                yield Examiner(
                    settings=checked.doctor,
                    environment=checked.environment,
                    home=checked.config.home,
                    warden=warden,
                    spool=folder / "spool",
                    ask=None,
                )
            finally:
                await warden.close()


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """What SIGINT does, SIGTERM does too, as that of ``timeout``: the task is cancelled."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine is run by one
    with suppress(RuntimeError, ValueError):  # not in the first thread: signals are somebody else's there
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


def _room() -> str:
    """Where the folder of a socket may lie. Raises `OSError` where there is none for temporary files."""
    usual = tempfile.gettempdir()
    return usual if len(os.fsencode(usual + _BELOW)) <= LONGEST_SOCKET_PATH else "/tmp"  # noqa: S108 - a private one below it
