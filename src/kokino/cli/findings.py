"""What the facts come to: the lines of what the doctor says."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kokino import __version__
from kokino.cli.client import DEFAULT_URL
from kokino.cli.terminal import counted

#: How ``/readyz`` begins the names of the engine's modules.
ENGINE = "engine."
#: How a broker's message ends that does not say where its log is.
SEE_LOG = ": see the broker's log for the whole error"


class State(StrEnum):
    """What became of a check."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of what the doctor says."""

    state: State
    #: A CLI type; empty for what concerns all.
    subject: str
    name: str
    message: str
    mend: str | None = None


def findings_of(found: Mapping[str, Any]) -> Iterator[Finding]:
    """Every line, in the order in which it is shown."""
    yield from _of_version(found)
    yield from _of_readiness(found)
    yield from (_finding(found[name]) for name in ("configuration", "database") if found.get(name))
    yield from _of_supervision(found["supervision"])
    environment = found["environment"] or {"results": []}
    # The tier stands above the table; an older broker tells nothing of the machine.
    yield from (_finding(check) for check in environment.get("machine", []) if check["name"] != "tier")
    for diagnosis in environment["results"]:
        subject = diagnosis["cliType"]
        yield from (_finding(check, subject) for check in diagnosis["checks"])
        yield from (_warning(text, subject) for text in diagnosis["warnings"])


def _of_version(found: Mapping[str, Any]) -> Iterator[Finding]:
    if (broker := found["broker"]) is None:
        return
    lacks = found["readiness"] is None or "warden" not in found["supervision"]
    if not lacks and broker["version"] == __version__:
        return
    if broker["version"] == __version__:
        message = f"the broker is of another build of Kokino {__version__} than this command: restart it"
    else:
        message = f"the broker is Kokino {broker['version']}, this is {__version__}: restart it"
    yield Finding(
        state=State.FAILED if lacks else State.WARNING,
        subject="",
        name="version",
        message=message if broker["canRestart"] else f"{message}, by a stop and a start",
        mend=f"kokino restart{_at(broker['url'])}" if broker["canRestart"] else None,
    )


def _of_readiness(found: Mapping[str, Any]) -> Iterator[Finding]:
    if (readiness := found["readiness"]) is None:
        return
    # The warden has a line of its own, which tells more.
    parts = {
        name: said
        for name, said in readiness["checks"].items()
        if name != "warden" or "warden" not in found["supervision"]
    }
    failed = {name: said for name, said in parts.items() if said != "ok"}
    yield from (_of_part(name, said, found["broker"]["home"]) for name, said in failed.items())
    if works := [name for name in parts if name not in failed]:
        yield Finding(state=State.OK, subject="", name="readiness", message=_working(works))
    if (integrity := readiness.get("integrity", "ok")) != "ok":
        yield _of_integrity(integrity, found["broker"]["url"])
    if readiness.get("notifications", "ok") != "ok":
        yield _warning("notifications wait for their receivers, people may not be reached")
    if (heartbeat := readiness.get("heartbeat", "off")) not in {"off", "ok"}:
        yield _warning(f"the heartbeat fails: {heartbeat}")


def _of_integrity(said: str, url: str) -> Finding:
    return Finding(
        state=State.FAILED,
        subject="",
        name="integrity",
        message=f"{_first_line(said)}; look again, and where it is so, restore a backup",
        mend=f"kokino integrity check{_at(url)}",
    )


def _at(url: str) -> str:
    """The option of commands to a broker at `url`."""
    return "" if url == DEFAULT_URL else f" --url {shlex.quote(url)}"


def _of_part(name: str, said: str, home: str | None) -> Finding:
    message = _first_line(said.removeprefix("failed: "))
    shorter = message.removesuffix(SEE_LOG)
    if name == "dispatch" or name.startswith(ENGINE) or shorter != message:
        log = "its log" if home is None else f"{home}/broker/logs/broker.log"
        message = f"{shorter}; it is tried again, {log} tells the whole error"
    return Finding(state=State.FAILED, subject="", name=name, message=message)


def _first_line(said: str) -> str:
    """What follows is a statement and its parameters."""
    return said.partition("\n")[0]


def _working(parts: list[str]) -> str:
    modules = sum(name.startswith(ENGINE) for name in parts)
    named = [name for name in parts if not name.startswith(ENGINE)]
    return "at work: " + ", ".join([*named, *([counted(modules, "engine module")] if modules else [])])


def _of_supervision(supervision: Mapping[str, Any]) -> Iterator[Finding]:
    if "warden" in supervision:
        yield _of_warden(supervision)
    yield from map(_finding, supervision["checks"])
    if supervision.get("warden", {}).get("fault") is None:
        # Else the warning is what the warden's line has told.
        yield from (_warning(text) for text in supervision["warnings"])


def _of_warden(supervision: Mapping[str, Any]) -> Finding:
    warden, load = supervision["warden"], supervision["running"]
    serves = warden["state"] == "serving"
    runs = ", ".join(
        (
            counted(load["executions"], "execution"),
            f"{load['processes']:,} processes",
            f"{load['memoryMB']:,.0f} MB",
        )
    )
    # One that is older than this command tells no fault.
    state = "serves" if serves else warden.get("fault") or "died, another one is being started"
    return Finding(
        state=State.OK if serves else State.FAILED,
        subject="",
        name="warden",
        message=f"pid {warden['pid']} {state}; {runs}",
    )


def _finding(check: Mapping[str, Any], subject: str = "") -> Finding:
    failed = State.FAILED if check.get("isRequired", True) else State.WARNING
    return Finding(
        state=State.OK if check["passed"] else failed,
        subject=subject,
        name=check["name"],
        message=check["message"],
        mend=check.get("mend"),
    )


def _warning(text: str, subject: str = "") -> Finding:
    return Finding(state=State.WARNING, subject=subject, name="", message=text)
