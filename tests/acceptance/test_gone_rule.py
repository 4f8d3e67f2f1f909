"""A broker that was started without a rule whose alert fires."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from kokino.storage import open_storage
from kokino.testing.broker import TestBroker
from tests.fixtures.episodes import Episodes

#: No rule of this name ships.
GONE = "renamed-rule"


async def test_an_alert_whose_rule_is_gone_is_resolved_and_shown_by_its_id(tmp_path: Path) -> None:
    """Lists and the alert itself answer, and nothing that rules say of themselves is made up."""
    box = TestBroker(tmp_path / "home")
    await box.start()
    await box.settle()
    await box.stop()
    storage = await open_storage(f"sqlite:///{box.home / 'broker' / 'data' / 'kokino.db'}")
    await Episodes(storage).fire(box.clock.now() - timedelta(minutes=1), rule_id=GONE)
    await storage.close()

    async with box:
        await box.settle()
        [shown] = [alert for alert in await box.get("/api/alerts") if alert["ruleId"] == GONE]
        assert (shown["state"], shown["title"], shown["severity"]) == ("resolved", GONE, None)
        full = await box.get(f"/api/alerts/{shown['alertId']}")
        assert full["why"][-1]["reason"] == "its rule is gone"
