"""``kokino restart``: a new broker in the place of the one that runs, without ending executions."""

from __future__ import annotations

import os
import shlex
import signal
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from kokino.cli.asking import ask
from kokino.cli.client import DEFAULT_URL, Url, get
from kokino.cli.terminal import counted, plain
from kokino.cli.words import parsed_length
from kokino.clock import SystemClock
from kokino.errors import KokinoError

#: How long the new broker may take. The old one waits for playbook steps, 20 s by default; a start takes two.
PATIENCE = "60s"
#: What an execution is that ends with its broker.
TIES = {"tmux": "in tmux", "dialogue": "a dialogue"}
#: Between two questions whether it is back, in seconds.
PAUSE = 0.2


def restart(
    url: Url = DEFAULT_URL,
    wait: Annotated[
        str, typer.Option("--wait", help="How long to wait for the new broker: 30s, 5m.")
    ] = PATIENCE,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Replace the broker by a new one, with the configuration and the program as they are now on the disk.

    Running executions go on, but for dialogues by the Agent Client Protocol and those in tmux, which end
    with their broker: where there are any it shows them and asks first. Exit code 1 when the answer was no.
    No connection is refused, the process stays the same.
    """
    patience = parsed_length("--wait", wait)
    before = get(url, "/api/about")
    pid = _process_of(url, before)
    _agree_to_lose(before.get("bound", []), yes=yes)
    typer.echo(f"Restarting the broker at {url} (pid {pid}) ...")
    clock = SystemClock()
    began = clock.now()
    try:
        os.kill(pid, signal.SIGUSR2)
    except PermissionError as error:
        raise KokinoError(
            f"the broker at {url} (pid {pid}) belongs to another user: run this as that one"
        ) from error
    after = _replaced(url, before, patience)
    took = (clock.now() - began).total_seconds()
    typer.echo(f"The new broker answers after {took:.1f} s; {_counted(after)}.")
    if lost := _lost(after):
        typer.echo(f"{counted(len(lost), 'execution')} ended with the earlier one, as lost:")
        typer.echo(_listed(lost))
        typer.echo("Look at what was done before you send such a prompt again.")


def _agree_to_lose(bound: Sequence[Mapping[str, str]], *, yes: bool) -> None:
    """Return when nothing would be lost, or a person has agreed to it."""
    if not bound or yes:
        return
    typer.echo(f"{counted(len(bound), 'execution')} would end with this broker, as lost:")
    typer.echo(_listed(bound))
    ask("Restart it now?", yes=yes, unasked="nothing was restarted")


def _listed(bound: Sequence[Mapping[str, str]]) -> str:
    """A line for each: whose it is, its id, and what it is."""
    wide = max(len(one["agentId"]) for one in bound)
    lines = (f"  {one['agentId']:{wide}}  {one['executionId']}  {TIES.get(one['by'], '')}" for one in bound)
    return "\n".join(plain(line).rstrip() for line in lines)


def _process_of(url: str, about: Any) -> int:
    """The broker's process. Raises `KokinoError` when it is none that can be restarted from here."""
    pid = about.get("pid")
    if not isinstance(pid, int) or "restart" not in about:
        raise KokinoError(
            f"the broker at {url} is of version {about.get('version')}, which cannot be restarted so:"
            " stop it and start it anew"
        )
    if not _is_serving(pid):
        raise KokinoError(
            f"the broker at {url} has pid {pid}, which is no `kokino serve` of this machine:"
            " run this where it runs"
        )
    return pid


def _is_serving(pid: int) -> bool:
    """True for a broker's process. SIGUSR2 would end any other."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
    except OSError:
        return False
    return "serve" in words and any(Path(word).name == "kokino" for word in words)


def _replaced(url: str, before: Any, patience: timedelta) -> Any:
    """What the new broker is like. Raises `KokinoError` when there is none."""
    clock = SystemClock()
    deadline = clock.now() + patience
    while clock.now() < deadline:
        time.sleep(PAUSE)
        about = _answer(url)
        if about is not None and about["startedAt"] != before["startedAt"]:
            return about
        if about is not None and about["restart"] != before["restart"]:
            raise KokinoError(f"restart refused, the broker goes on as it was: {about['restart']['refused']}")
        if about is None and not _is_serving(before["pid"]):
            raise KokinoError(_ended(before))
    raise KokinoError(
        f"no new broker within {patience.total_seconds():.0f} s; it may still come, {_log(before)} tells"
    )


def _ended(about: Any) -> str:
    """What to do where there is neither the earlier broker nor a new one."""
    return (
        f"the broker has ended; {_log(about)} or its terminal tells why. Its executions are kept for a"
        " while (process.hold): start it within that time, and it goes on with them. Where its database is"
        f" damaged, `kokino serve --check --home {shlex.quote(about['home'])}` says so: put a backup in its"
        " place first with `kokino integrity restore FILE`, same --home"
    )


def _answer(url: str) -> Any:
    """What the broker says of itself; None while it does not answer."""
    try:
        return get(url, "/api/about")
    except KokinoError:
        return None


def _counted(about: Any) -> str:
    number = about["restart"]["executions"] if about["restart"] else 0
    none = "no execution goes on" if _lost(about) else "no execution was running"
    return {0: none, 1: "1 execution goes on"}.get(number, f"{number} executions go on")


def _lost(about: Any) -> Sequence[Mapping[str, str]]:
    return about["restart"].get("lost", []) if about["restart"] else []


def _log(about: Any) -> str:
    return f"{about['home']}/broker/logs/broker.log"
