"""What a Grafana dashboard is made of: panels, and the queries in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Chosen by whoever looks at the dashboard.
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
#: Width of a dashboard.
COLUMNS = 24

GREEN, YELLOW, RED, BLUE = "green", "yellow", "red", "blue"


_LINES = {"lineWidth": 2, "fillOpacity": 0, "spanNulls": True, "showPoints": "never"}
BARS = {"drawStyle": "bars", "fillOpacity": 60, "lineWidth": 0, "stacking": {"mode": "normal"}}
_STAT = {"graphMode": "area", "colorMode": "value", "reduceOptions": {"calcs": ["lastNotNull"]}}
_LEGEND = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
_TABLE = {"showHeader": True, "cellHeight": "sm"}


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel."""

    expr: str
    #: What its series are called.
    legend: str = ""
    #: A table or a single value needs the last instant alone.
    instant: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel, without its place."""

    title: str
    #: Of Grafana: ``stat``, ``timeseries``, ``table``.
    type: str
    queries: Sequence[Query]
    #: What it says, for whoever hovers over its title.
    about: str
    #: Of Grafana: ``percentunit``, ``s``, ``short``.
    unit: str = "short"
    width: int
    height: int = 8
    #: From which value on it has which colour; the first one has no lower bound.
    steps: Sequence[tuple[float | None, str]] = ((None, GREEN),)
    #: Fixed colours, lines or stacking: Grafana's own words for one series each.
    overrides: Sequence[Mapping[str, Any]] = ()
    #: Its own settings of how a series is drawn.
    custom: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    lowest: float | None = None
    highest: float | None = None
    decimals: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Panels side by side under a heading."""

    title: str
    panels: Sequence[Panel]


def stat(title: str, expr: str, about: str, **more: Any) -> Panel:
    """One value, as of now."""
    return Panel(
        title=title, type="stat", queries=[Query(expr)], about=about, width=4, height=4, options=_STAT, **more
    )


def chart(title: str, asked: list[Query], about: str, **more: Any) -> Panel:
    """Lines over time, half as wide as the page."""
    wanted = {"type": "timeseries", "width": 12, "custom": _LINES, "options": _LEGEND, **more}
    return Panel(title=title, queries=asked, about=about, **wanted)


def listing(title: str, expr: str, about: str) -> Panel:
    """What holds now, line by line."""
    query = Query(expr, instant=True)
    return Panel(title=title, type="table", queries=[query], about=about, width=6, height=6, options=_TABLE)


def placed(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """All panels with their places, from the top down."""
    found: list[dict[str, Any]] = []
    top = 0
    for row in rows:
        found.append(_heading(row.title, len(found) + 1, top))
        top += 1
        left, tallest = 0, 0
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                top, left, tallest = top + tallest, 0, 0
            found.append(_panel(panel, len(found) + 1, left, top))
            left, tallest = left + panel.width, max(tallest, panel.height)
        top += tallest
    return found


def target_line(name: str) -> dict[str, Any]:
    """What is promised: dashed, so that it is not taken for something measured."""
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [
            {"id": "color", "value": {"mode": "fixed", "fixedColor": RED}},
            {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 6]}},
            {"id": "custom.fillOpacity", "value": 0},
        ],
    }


def _heading(title: str, number: int, top: int) -> dict[str, Any]:
    place = {"h": 1, "w": COLUMNS, "x": 0, "y": top}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _panel(panel: Panel, number: int, left: int, top: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.type,
        "title": panel.title,
        "description": panel.about,
        "datasource": DATASOURCE,
        "gridPos": {"h": panel.height, "w": panel.width, "x": left, "y": top},
        "targets": [_target(query, letter) for query, letter in zip(panel.queries, "ABCDEFGH", strict=False)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": list(panel.overrides)},
        "options": dict(panel.options),
    }


def _target(query: Query, letter: str) -> dict[str, Any]:
    return {
        "refId": letter,
        "datasource": DATASOURCE,
        "expr": query.expr,
        "legendFormat": query.legend,
        "instant": query.instant,
        "range": not query.instant,
        **({"format": "table"} if query.instant else {}),
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    steps = [{"value": value, "color": color} for value, color in panel.steps]
    bounds = {"min": panel.lowest, "max": panel.highest, "decimals": panel.decimals}
    return {
        "unit": panel.unit,
        "color": {"mode": "thresholds" if len(panel.steps) > 1 else "palette-classic"},
        "thresholds": {"mode": "absolute", "steps": steps},
        **{name: value for name, value in bounds.items() if value is not None},
        **({"custom": dict(panel.custom)} if panel.custom else {}),
    }
