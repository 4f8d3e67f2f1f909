"""Alert rules as a rule file for Prometheus."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from datetime import timedelta

from kokino.alerts.rule import AlertRule
from kokino.exports.alert_group import Group, group
from kokino.exports.promql import duration
from kokino.exports.yamltext import comment, written
from kokino.slo.model import Objectives

#: How often Prometheus evaluates the rules where nobody says otherwise: as often as it should scrape.
INTERVAL = timedelta(seconds=15)

HEAD = (
    "Alert rules of Kokino for Prometheus, written by `kokino export prometheus`: do not edit.",
    "docs/monitoring.md tells how they are used and what they leave out.",
)


def rule_file(
    rules: Iterable[AlertRule], objectives: Objectives, *, interval: timedelta = INTERVAL, public_url: str
) -> str:
    """The whole file: one group for each alert rule, with what is left out of it as comments."""
    groups = [group(rule, objectives, interval=interval, public_url=public_url) for rule in rules]
    return comment(HEAD) + "groups:\n" + "\n".join(_written(one, interval) for one in groups)


def _written(one: Group, interval: timedelta) -> str:
    head = [f"{one.rule.title}.", *_listed(one.left_out)]
    if not one.rules:
        return comment([*head, f"Nothing of {one.rule.id} can be exported."], indent=2)
    body = {"name": one.rule.id, "interval": duration(interval), "rules": list(one.rules)}
    return comment(head, indent=2) + textwrap.indent(written([body]), "  ")


def _listed(left_out: Iterable[str]) -> list[str]:
    sentences = list(left_out)
    if not sentences:
        return []
    lines = (
        textwrap.wrap(sentence, 100, initial_indent="- ", subsequent_indent="  ") for sentence in sentences
    )
    return ["Not exported:", *(line for wrapped in lines for line in wrapped)]
