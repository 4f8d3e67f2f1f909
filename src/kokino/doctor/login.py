"""Is somebody logged in? By names and dates alone: no secret is kept or told."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from kokino.agents.drivers.needs import InFile, InVariable, Login, Needs, ReadFile, home_of
from kokino.clock import iso
from kokino.doctor.model import Check

#: How long before its end a login is warned of that nobody renews: over a weekend.
SOON = timedelta(days=3)
#: The largest file that is read for a login, in bytes: theirs have some kilobytes.
LARGEST = 1 << 20


def check_login(needs: Needs, env: Mapping[str, str], now: datetime, read: ReadFile) -> Check:
    """Whether one of the CLI's ways leads to a login that has not ended."""
    if not needs.logins:
        message = "not looked for: this driver knows of no login"
        return Check(name="auth", passed=True, message=message, is_tried=False)
    found = [login for way in needs.logins if (login := way.find(env, read)) is not None]
    good = [login for login in found if _fault(login, now) is None]
    if good:
        return _logged_in(good[0], now)
    said = (
        f"{found[0].where} {_fault(found[0], now)}"
        if found
        else f"nobody is logged in: {_nowhere(needs, env)}"
    )
    return Check(
        name="auth",
        passed=False,
        message=said if needs.is_login_needed else f"{said}; it may answer all the same",
        is_required=needs.is_login_needed,
        mend=_command(needs, env),
    )


def read_file(path: Path) -> bytes | None:
    """What a file holds; None where there is none that we may read, or one that is far too large."""
    with suppress(OSError, ValueError):
        if path.is_file() and path.stat().st_size <= LARGEST:
            return path.read_bytes()
    return None


def _logged_in(login: Login, now: datetime) -> Check:
    ends = login.expires_at
    if login.is_renewed:
        return Check(name="auth", passed=True, message=f"by {login.where}, which the CLI renews")
    if ends is None:
        return Check(name="auth", passed=True, message=f"by {login.where}")
    said = f"{login.where} ends at {iso(ends)}"
    return Check(
        name="auth",
        passed=True,
        message=f"by {login.where}, until {iso(ends)}",
        warnings=(f"{said}: log in anew before",) if ends - now <= SOON else (),
    )


def _fault(login: Login, now: datetime) -> str | None:
    if login.fault is not None:
        return login.fault
    if login.expires_at is not None and login.expires_at <= now and not login.is_renewed:
        return f"has expired at {iso(login.expires_at)}"
    return None


def _nowhere(needs: Needs, env: Mapping[str, str]) -> str:
    """Where it was looked for first; docs/doctor.md lists the other places."""
    files = [f"there is none in {way.file(env)}" for way in needs.logins if isinstance(way, InFile)]
    variables = [f"{way.name} is not set" for way in needs.logins if isinstance(way, InVariable)]
    return ", ".join([*files[:1], *variables[:1]]) or "the file of its login is missing"


def _command(needs: Needs, env: Mapping[str, str]) -> str | None:
    """With the agent's HOME: that of whoever types it may be another."""
    if needs.login_command is None:
        return None
    return f"HOME={shlex.quote(str(home_of(env)))} {needs.login_command}"
