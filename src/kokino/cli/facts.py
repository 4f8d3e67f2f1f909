"""What there is to know of a broker and its machine: told by the broker, or seen without one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from kokino.cli.client import NoBroker, Refused, get, post
from kokino.cli.serve import chosen_home
from kokino.clock import SystemClock


def asked(url: str, home: Path | None, cli: str | None) -> dict[str, Any]:
    """What a broker says, or what can be seen without one.

    What it cannot tell, being older than this command or without its database, is looked at from here.
    Raises `KokinoError` for a CLI type that is none, and where the broker refuses.
    """
    try:
        about = _about(url)
    except NoBroker:
        return {"broker": None, "readiness": None, **_seen(home, cli, f"none answers at {url}")}
    if home is not None and about["home"] != str(chosen_home(home)):
        other = f"the one at {url} has the home {about['home'] or 'unknown'}"
        return {"broker": None, "readiness": None, **_seen(home, cli, other)}
    told = {
        "broker": {
            "url": url,
            **{name: about[name] for name in ("version", "home", "pid")},
            # Older ones know no such thing: they are stopped and started anew.
            "canRestart": "restart" in about,
        },
        "readiness": _readiness(url),
        "unasked": None,
        "configuration": None,
        "database": None,
        "supervision": _told(url, "/api/health/supervision", fresh="true"),
        "environment": _environment(url, cli),
    }
    return told | _missing(told, None if about["home"] is None else Path(about["home"]), cli)


def _about(url: str) -> dict[str, Any]:
    """What broker it is; of a very old one only the version is known."""
    try:
        return dict(get(url, "/api/about"))
    except Refused as refused:
        if refused.answer.status_code != HTTPStatus.NOT_FOUND:
            raise
    return {"version": get(url, "/health")["version"], "home": None, "pid": None}


def _readiness(url: str) -> Any:
    """What ``/readyz`` says, well or ill; None where there is none."""
    try:
        return get(url, "/readyz")
    except Refused as refused:
        if refused.answer.status_code == HTTPStatus.NOT_FOUND:
            return None
        try:
            told = refused.answer.json()
        except ValueError:
            told = None
        if isinstance(told, dict) and "checks" in told:
            return told
        return {"checks": {"readyz": f"failed: {refused.message}"}, "notifications": "ok"}


def _told(url: str, path: str, **query: str) -> Any:
    """What is at `path`; None where the broker cannot tell."""
    try:
        return get(url, path, **query)
    except Refused as refused:
        if refused.answer.status_code not in (HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE):
            raise
        return None


def _environment(url: str, cli: str | None) -> Any:
    try:
        found = _looked(url, cli)
    except Refused as refused:
        # That it knows no such CLI type is what was asked for; without one there is an older broker.
        gone = {HTTPStatus.SERVICE_UNAVAILABLE} | ({HTTPStatus.NOT_FOUND} if cli is None else set())
        if refused.answer.status_code not in gone:
            raise
        return None
    if cli is None:
        return found
    # In the form that those of all have.
    return {"overall": "healthy" if found["passed"] else "degraded", "results": [found]}


def _looked(url: str, cli: str | None) -> Any:
    """What a broker finds when it looks now; an older one always does when it is asked."""
    path, wanted = "/api/health/environment", {} if cli is None else {"cli": cli}
    try:
        return post(url, path, **({} if cli is None else {"cliType": cli}))
    except Refused as refused:
        knows_no_look = {HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}
        if refused.answer.status_code not in knows_no_look:
            raise
    return get(url, path, **wanted)


def _missing(told: Mapping[str, Any], home: Path | None, cli: str | None) -> dict[str, Any]:
    """What the broker did not tell, as it is seen from here."""
    missing = [name for name in ("supervision", "environment") if told[name] is None]
    if not missing:
        return {}
    parts = " and ".join({"supervision": "supervision", "environment": "CLI types"}[name] for name in missing)
    seen = _seen(home, cli, f"it tells nothing of {parts}, which this command looked at by itself")
    return {name: seen[name] for name in ("unasked", "configuration", *missing)}


def _seen(home: Path | None, cli: str | None, unasked: str) -> dict[str, Any]:
    # Late: these load the whole broker, which is not needed where one runs.
    from kokino.app.examine import examine  # noqa: PLC0415
    from kokino.log import start_logging  # noqa: PLC0415

    # What its parts have to say is no part of the findings, which may be JSON.
    start_logging(None, level="ERROR")
    found = examine(chosen_home(home), os.environ, cli=cli, now=SystemClock().now())
    return {"unasked": unasked, **found}
