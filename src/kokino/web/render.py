"""HTML from templates. Everything that agents, alerts or people say is text until it is escaped here."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from kokino import __version__
from kokino.clock import iso
from kokino.web import fleet, words
from kokino.web.panels import Panels

#: What a timeline entry's kind is shown as: a sign, and how grave or good it is.
SIGNS = {
    "opened": ("○", "plain"),
    "fired": ("▲", "bad"),
    "cleared": ("✓", "good"),
    "paged": ("➤", "warn"),
    "escalated": ("⇧", "warn"),
    "acknowledged": ("✓", "note"),
    "evidence": ("⌕", "note"),
    "pattern": ("◆", "note"),
    "action": ("⚙", "note"),
    "verified": ("✓", "good"),
    "mitigated": ("✓", "good"),
    "reopened": ("▲", "bad"),
    "resolved": ("✔", "good"),
    "restored": ("↺", "note"),
    "handed_over": ("✋", "warn"),
}
#: For the kinds that people write.
PLAIN_SIGN = ("•", "plain")
#: How the states of executions, deliveries, steps and agents are coloured; what is missing is plain.
TONES = {
    # What went as it should is no news.
    **dict.fromkeys(("completed", "passed", "delivered", "ok"), "calm"),
    **dict.fromkeys(("resolved", "reviewed", "matched"), "good"),
    **dict.fromkeys(("failed", "timeout", "refused", "lost", "firing", "breached", "failing", "open"), "bad"),
    **dict.fromkeys(("pending", "paused", "uncertain", "mitigated", "waiting", "P2"), "warn"),
    **dict.fromkeys(("running", "leased"), "note"),
    "P1": "bad",
}


def page(name: str, *, now: datetime, **values: Any) -> str:
    """A whole page from ``templates/<name>.html``."""
    return _environment().get_template(f"{name}.html").render(now=now, **values)


def fragments(panels: Panels, *, now: datetime) -> dict[str, str]:
    """The inside of each panel, as the page has it and as an update replaces it."""
    return {name: fragment(name, panel, now=now) for name, panel in panels.items()}


def fragment(name: str, panel: object, *, now: datetime) -> str:
    """The inside of one panel, from ``templates/panels/<name>.html``."""
    return _environment().get_template(f"panels/{name}.html").render(panel=panel, now=now).strip()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("kokino.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(version=__version__, sign=_sign, tone=_tone, counted=words.counted)
    environment.filters.update(
        iso=iso,
        ago=words.ago,
        length=words.length,
        outcome=fleet.outcome,
        took=fleet.took,
        paused_what=fleet.paused_what,
    )
    return environment


def _sign(kind: str) -> tuple[str, str]:
    return SIGNS.get(kind, PLAIN_SIGN)


def _tone(state: str) -> str:
    return TONES.get(state, "plain")
