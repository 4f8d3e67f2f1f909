"""How a fleet is, in tiles: its availability, its CLI types and agents, and what the receivers have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import ROUNDED
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from kokino.drills.fleet import Fleet
from kokino.drills.observe import Facts
from kokino.drills.report import DIM
from kokino.testing.receivers import PagerIncident, PagerState

GOOD, BAD, CHANGED = "green3", "red1", "gold1"
_BADGES = {"firing": "bold white on red3", "resolved": "bold white on green4", "pending": "black on gold1"}
_PAGES = {PagerState.OPEN: "bold white on red3", PagerState.RESOLVED: GOOD}


def framed(content: RenderableType, title: str) -> Panel:
    """`content` with a border and a title."""
    return Panel(content, title=title, title_align="left", box=ROUNDED, border_style="grey37", padding=(0, 1))


def grid() -> Table:
    """Two columns over the whole width: names on the left, what is said of them on the right."""
    rows = Table.grid(expand=True)
    rows.add_column(no_wrap=True, overflow="ellipsis")
    rows.add_column(no_wrap=True, overflow="ellipsis", justify="right")
    return rows


def availability(facts: Facts, *, width: int, is_tall: bool) -> RenderableType:
    """Current and target, the alert's state, the latest executions as squares; the budget too when tall."""
    slo = facts.availability
    rows = grid()
    rows.add_row(_figures(slo), _badge(slo["alertState"]))
    if is_tall:
        left = slo["errorBudgetRemaining"]
        rows.add_row(Text("error budget, 30 days", style=DIM), "" if left is None else f"{left:.0%} left")
    latest = facts.traffic()[-width * (2 if is_tall else 1) :]
    squares = [("■", _square(one)) for one in latest] or [("nothing has run yet", DIM)]
    return Group(rows, Text.assemble(*squares))


def cli_types(facts: Facts, fleet: Fleet) -> RenderableType:
    """Which CLI types are in use; of the others how their probes go."""
    rows = grid()
    for name in fleet.cli_types:
        rows.add_row(name, _use(facts, name))
    return rows


def agents(facts: Facts, fleet: Fleet) -> RenderableType:
    """Who works now, what ran their latest execution, and how that ended."""
    latest = {one["agentId"]: one for one in facts.traffic()}
    working = {agent["agentId"] for agent in facts.agents if agent["executing"]}
    rows = grid()
    for member in fleet.members:
        mark = ("● ", "cyan") if member.agent_id in working else ("○ ", DIM)
        rows.add_row(
            Text.assemble(mark, member.agent_id), _latest(member.cli_type, latest.get(member.agent_id))
        )
    return rows


def receivers(facts: Facts) -> RenderableType:
    """What PagerDuty and Slack show."""
    rows = grid()
    rows.add_row("PagerDuty", _page(facts.pages))
    count = len(facts.posts)
    said = "1 message" if count == 1 else f"{count} messages"
    rows.add_row("Slack", Text(said, style="" if count else DIM))
    return rows


def _figures(slo: Mapping[str, Any]) -> Text:
    target = (f"  of {slo['target'] * 100:g} %", DIM)
    if slo["current"] is None:
        return Text.assemble(("no data", DIM), target)
    # Cut, not rounded: what is under its target never looks equal to it.
    current = f"{int(slo['current'] * 10_000) / 100:.2f} %"
    return Text.assemble((current, f"bold {BAD if slo['breached'] else GOOD}"), target)


def _badge(state: str) -> Text:
    # Assembled: a style of the whole text would colour the whole cell.
    return Text.assemble((f" {state} ", _BADGES.get(state, f"{DIM} on grey19")))


def _square(execution: Mapping[str, Any]) -> str:
    return {"completed": GOOD, "cancelled": DIM}.get(execution["state"], BAD)


def _use(facts: Facts, cli_type: str) -> Text:
    disabled = facts.disabled(cli_type)
    if disabled is None:
        return Text("in use", style=GOOD)
    is_parked = any(pause["id"].startswith(f"{cli_type}:") for pause in facts.pauses("account"))
    probes = disabled["probes"]
    said = "parked" if is_parked else "out of use"
    return Text(f"{said}, probes {probes['good']}/{probes['wanted']}", style=CHANGED)


def _latest(cli_type: str, execution: Mapping[str, Any] | None) -> Text:
    """The CLI type that ran it, marked when it is not the agent's own."""
    if execution is None:
        return Text(cli_type, style=DIM)
    is_good = execution["state"] == "completed"
    end = (" ✓", GOOD) if is_good else (f" ✗ {execution['kind'] or execution['state']}", BAD)
    if execution["cliType"] == cli_type:
        return Text.assemble(cli_type, end)
    return Text.assemble((f"→ {execution['cliType']}", CHANGED), end)


def _page(pages: Sequence[PagerIncident]) -> Text:
    if not pages:
        return Text("quiet", style=DIM)
    state = pages[-1].state
    return Text.assemble((f" {state} ", _PAGES.get(state, "")))
