"""What a story plays on: a broker in a home of its own, a scripted fleet, pretend services, a fast clock."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx

from kokino.app import Broker
from kokino.app.ground import runtime_folder
from kokino.clock import ScaledClock
from kokino.config import FILE_NAME, load
from kokino.drills.fleet import ROUTING_KEY_ENV, WEBHOOK_ENV, Fleet, Load
from kokino.drills.observe import Observer
from kokino.errors import KokinoError
from kokino.testing.receivers import ROUTING_KEY, RecordingPagerDuty, RecordingSlack

#: What playbook steps are written in.
PROGRAMS = ("bash", "curl", "jq")
#: Real seconds that the broker may take to answer a look.
PATIENCE = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything that a story plays on."""

    clock: ScaledClock
    fleet: Fleet
    load: Load
    observer: Observer
    #: Where the broker answers.
    url: str


def require_programs(path: str) -> None:
    """Raise `KokinoError` with what has to be installed when playbook steps could not run."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if missing:
        raise KokinoError(
            f"the playbook's steps need what is not installed: apt-get install {' '.join(missing)}"
        )


@contextlib.asynccontextmanager
async def set_up(home: Path, *, scale: float, port: int) -> AsyncIterator[Stage]:
    """Start all of it in `home`; leaving ends all of it, what runs included.

    `scale` is how many times faster than the machine's the broker's clock runs; `port` 0 takes a free one.
    Raises what `Broker.start` raises.
    """
    clock, fleet = ScaledClock(scale), Fleet(home=home)
    for cli_type in fleet.cli_types:
        fleet.renew(cli_type)
    async with contextlib.AsyncExitStack() as opened:
        pagerduty = await opened.enter_async_context(RecordingPagerDuty())
        slack = await opened.enter_async_context(RecordingSlack())
        (home / FILE_NAME).write_text(fleet.configuration(pagerduty_url=pagerduty.url), encoding="utf-8")
        environment = _environment(home, slack)
        # A home that lasts a minute must not leave its warden's folder behind for ever.
        opened.callback(shutil.rmtree, runtime_folder(home, environment), ignore_errors=True)
        broker = await Broker.start(
            load(home), clock=clock, environment=environment, host="127.0.0.1", port=port
        )
        opened.push_async_callback(broker.stop, drain=timedelta(0))
        # Loopback needs no proxy, whatever the environment says of other hosts.
        http = httpx.AsyncClient(base_url=broker.url, timeout=PATIENCE, trust_env=False)
        await opened.enter_async_context(http)
        callers = Load(fleet, http, clock)
        opened.push_async_callback(callers.stop)
        names = [member.agent_id for member in fleet.members]
        observer = Observer(http, agents=names, pagerduty=pagerduty, slack=slack)
        yield Stage(clock=clock, fleet=fleet, load=callers, observer=observer, url=broker.url)


def _environment(home: Path, slack: RecordingSlack) -> Mapping[str, str]:
    """What the broker sees: nothing of the person's own settings, logins or database."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        ROUTING_KEY_ENV: ROUTING_KEY,
        WEBHOOK_ENV: slack.webhook_url,
    }
