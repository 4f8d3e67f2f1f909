"""Looks that go wrong are findings."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from kokino.agents.model import CliType
from kokino.doctor import onlooker
from kokino.doctor.model import Check
from kokino.doctor.onlooker import Onlooker
from kokino.doctor.settings import DoctorSettings
from kokino.doctor.trial import untried

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


async def test_what_the_system_refuses_to_show_is_a_failed_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And keeps nobody from hearing of the others."""

    def refused() -> Check:
        raise PermissionError(13, "Permission denied", "/locked/x")

    room = Check(name="disk", passed=True, message="room")
    monkeypatch.setattr(onlooker, "looks_at", lambda *_, **__: {"binary": refused, "disk": lambda: room})
    looks = Onlooker(settings=DoctorSettings(), environment={}, home=tmp_path)
    cli_type = CliType(name="codex", driver="codex", command=("codex",))
    found = await looks.glance(cli_type, [], NOW, not_tried=untried("it is off"))
    assert [check.passed for check in found.checks] == [False, True, True]
    assert found.checks[0].message == (
        "could not be looked at here: [Errno 13] Permission denied: '/locked/x'"
    )
