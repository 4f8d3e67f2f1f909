"""The dashboard for Grafana: is what we promise kept, what is wrong if not, and is the broker itself well."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from kokino.alerts.rule import AlertRule
from kokino.exports.counters import HEARTBEAT
from kokino.exports.panels import DATASOURCE, RED, placed
from kokino.exports.rows import firing, rows
from kokino.slo.model import Objectives

#: Of the JSON that Grafana 10 writes; newer ones take it over.
SCHEMA = 38


def dashboard(rules: Sequence[AlertRule], objectives: Objectives) -> str:
    """The JSON that Grafana imports."""
    document = {
        "title": "Kokino",
        "uid": "kokino",
        "tags": ["kokino"],
        "description": "Agents as a service. Written by `kokino export grafana`: do not edit.",
        "schemaVersion": SCHEMA,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "utc",
        "templating": {"list": _variables()},
        "annotations": {"list": [_firing_marks(rules)]},
        "panels": placed(rows(rules, objectives)),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _variables() -> list[dict[str, Any]]:
    return [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
        {
            "name": "instance",
            "label": "Broker",
            "type": "query",
            "datasource": DATASOURCE,
            "query": {"query": f"label_values({HEARTBEAT}, instance)", "refId": "instance"},
            "refresh": 2,
            "includeAll": True,
            "multi": True,
            "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
        },
    ]


def _firing_marks(rules: Sequence[AlertRule]) -> dict[str, Any]:
    return {
        "name": "Alerts",
        "datasource": DATASOURCE,
        "enable": True,
        "iconColor": RED,
        "expr": firing(rules),
        "titleFormat": "{{alertname}}",
        "textFormat": "{{severity}} {{agent}} {{cli_type}}",
        "step": "60s",
    }
