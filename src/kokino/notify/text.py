"""The text of a page, in the form of the specification's "Alert Message", with figures that add up."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from kokino.notify.model import Action, Link, Message, Severity

_MARKS = {Severity.P1: "🚨", Severity.P2: "⚠️", Severity.P3: "📋"}
#: What a link to the playbook is called.
RUNBOOK = "Runbook"
#: Control characters, direction and other format marks, lone surrogates.
_UNPRINTED = frozenset({"Cc", "Cf", "Cs"})
_FOLLOW_UPS = {
    Action.ACKNOWLEDGE: "👀 Acknowledged",
    Action.RESOLVE: "✅ Resolved",
    Action.UPDATE: "🔁 Update",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """What a page tells of an SLO that is breached."""

    severity: Severity
    #: The SLO, as a word to begin a sentence with: ``Availability``.
    slo: str
    #: The SLI as a fraction; None without data.
    current: float | None
    #: The SLO's target, as a fraction below 1.
    target: float
    #: The SLO's window, over which its error budget counts.
    window: timedelta
    #: Share of the error budget that is spent; 1.3 when it is overspent by 30 %.
    consumed: float
    #: Which condition of the rule holds, as a sentence.
    reason: str
    #: What the playbook found, once it has.
    probable_cause: str | None = None
    dashboard_url: str
    #: None where there is no playbook.
    playbook_url: str | None
    #: Name of the rule that fired.
    rule: str | None = None
    #: Which part of the service it is about, of a rule with an alert for each: ``cli type codex``.
    whose: str | None = None

    @property
    def minutes_total(self) -> int:
        """The whole error budget in minutes: 216 for 99.5 % over 30 days."""
        return round(self._budget)

    @property
    def minutes_spent(self) -> int:
        """Minutes of the budget that are gone; more than there were when it is overspent."""
        return round(self._budget * self.consumed)

    @property
    def minutes_left(self) -> int:
        """What is left, counted from the rounded figures so that spent and left make up the total."""
        return max(self.minutes_total - self.minutes_spent, 0)

    @property
    def _budget(self) -> float:
        return (1 - self.target) * (self.window / timedelta(minutes=1))


def page(breach: Breach, *, source: str) -> Message:
    """The message that pages a person for `breach`; `source` names the installation."""
    whose = f" ({plain(breach.whose)})" if breach.whose else ""
    message = Message(
        severity=breach.severity,
        title=f"{plain(breach.slo)} SLO breach detected{whose}",
        summary=tuple(_summary(breach)),
        links=tuple(_links(breach)),
        source=source,
        probable_cause=breach.probable_cause,
        component=breach.slo.lower(),
        group="kokino",
        rule=breach.rule,
        details=_details(breach),
    )
    return replace(message, text=whole(message, heading(Action.TRIGGER, message)))


def whole(message: Message, first: str) -> str:
    """All of a message as plain lines, `first` before what there is to know and where to look."""
    cause = (("Probable cause", message.probable_cause),) if message.probable_cause else ()
    links = ((link.text, link.url) for link in message.links)
    lines = (f"{plain(label)}: {plain(said)}" for label, said in (*message.summary, *cause, *links))
    return "\n".join([first, *lines])


def heading(action: Action, message: Message) -> str:
    """The first line of a message for people: ``🚨 P1: …``, later ``✅ Resolved: P1: …``."""
    if action is Action.TRIGGER:
        return f"{_MARKS[message.severity]} {plain(message.headline)}"
    return f"{_FOLLOW_UPS[action]}: {plain(message.headline)}"


def plain(text: str) -> str:
    """`text` on one line, without control and direction marks: it cannot forge a line or turn one around."""
    spaced = "".join(" " if char.isspace() else char for char in text)
    shown = "".join(char for char in spaced if unicodedata.category(char) not in _UNPRINTED)
    return " ".join(shown.split())


def shortened(text: str, limit: int) -> str:
    """`text` in at most `limit` characters, with an ellipsis where it was cut."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def percent_of_target(target: float) -> str:
    """A target as it was written: ``99.5%``, ``95%``."""
    return f"{target * 100:.6g}%"


def percent(value: float, target: float) -> str:
    """`value` to one decimal, or as many as its target has, cut and not rounded: never better than it is.

    So a value below the target is never shown as equal to it.
    """
    decimals = max(1, len(percent_of_target(target).rstrip("%").partition(".")[2]))
    # 0.57 * 1000 is 569.9999…: a hair is added before cutting.
    cut = math.floor(value * 100 * 10**decimals + 1e-6) / 10**decimals
    shown = f"{cut:.{decimals}f}".rstrip("0").rstrip(".")
    return f"{shown}%"


def _links(breach: Breach) -> Iterator[Link]:
    yield Link(text="Dashboard", url=breach.dashboard_url)
    if breach.playbook_url is not None:
        yield Link(text=RUNBOOK, url=breach.playbook_url)


def _summary(breach: Breach) -> list[tuple[str, str]]:
    current = "no data" if breach.current is None else percent(breach.current, breach.target)
    return [
        ("Current", f"{current} (target: {percent_of_target(breach.target)})"),
        ("Error budget", _budget_text(breach)),
        ("Condition", plain(breach.reason)),
    ]


def _budget_text(breach: Breach) -> str:
    if breach.consumed > 1:
        # A young service can spend its budget many times over: minutes would only confuse.
        return f"spent {breach.consumed:.1f} times over ({breach.minutes_total}min → 0min remaining)"
    shown = "<1" if 0 < breach.consumed < 0.005 else f"{breach.consumed * 100:.0f}"
    return f"{shown}% consumed ({breach.minutes_spent}min spent → {breach.minutes_left}min remaining)"


def _details(breach: Breach) -> dict[str, object]:
    return {
        "current": breach.current,
        "target": breach.target,
        "errorBudget": {
            "consumed": breach.consumed,
            "minutesTotal": breach.minutes_total,
            "minutesSpent": breach.minutes_spent,
            "minutesRemaining": breach.minutes_left,
        },
    }
