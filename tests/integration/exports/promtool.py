"""Runs the real promtool."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from kokino.alerts.model import Alert
from kokino.alerts.rule import AlertRule
from kokino.exports.prometheus import rule_file
from kokino.exports.promql import duration
from kokino.exports.unit_tests import TestWriter
from kokino.exports.yamltext import written
from kokino.slo.defaults import defaults
from kokino.telemetry.model import Event

URL = "http://127.0.0.1:5050"


def promtool(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """What it said; scripts/install-debian-packages has its package."""
    return subprocess.run(["promtool", *arguments], cwd=cwd, capture_output=True, text=True, check=False)


def differences(
    rule: AlertRule,
    events: Sequence[Event],
    firing_at: Mapping[datetime, Sequence[Alert]],
    folder: Path,
    *,
    interval: timedelta,
) -> str:
    """Where Prometheus sees other alerts, given what a broker would show of `events`; else nothing."""
    text = rule_file([rule], defaults(), interval=interval, public_url=URL)
    (folder / "rules.yaml").write_text(text, encoding="utf-8")
    tests = TestWriter(
        rule=rule,
        objectives=defaults(),
        public_url=URL,
        rules_name="rules.yaml",
        rules_text=text,
        interval=interval,
    )
    document = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": duration(interval),
        "tests": [tests.document("differential", events, firing_at)],
    }
    (folder / "test.yaml").write_text(written(document), encoding="utf-8")
    outcome = promtool("test", "rules", "test.yaml", cwd=folder)
    return "" if outcome.returncode == 0 else outcome.stderr
