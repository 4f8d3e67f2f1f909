"""Write the table of docs/metrics.md from what a broker answers at /metrics: it tells of every own metric.

`make docs` runs it; a test compares what it would write with what is there.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from kokino.testing.broker import FLEET, TestBroker

PAGE = Path(__file__).resolve().parents[1] / "docs" / "metrics.md"
#: How the broker's own metrics begin; docs/monitoring.md tells of those of executions.
OURS = "kokino_"
#: The page's last heading: what stands above it is written by hand.
HEADING = "## The metrics\n\n"
#: Labels that belong to a kind of metric, not to what it counts.
OF_KIND = frozenset({"le", "quantile"})


#: What has to be switched on for a metric of it; nobody listens there.
EVERYTHING = """
[alerting]
heartbeat_url = "http://127.0.0.1:9/"
"""


def table(text: str) -> str:
    """The broker's own metrics, as found in the text of a scrape."""
    families = [one for one in text_string_to_metric_families(text) if one.name.startswith(OURS)]
    head = ["| Metric | Kind | Labels | Meaning |", "|---|---|---|---|"]
    return "\n".join([*head, *_rows(families), ""])


def _rows(families: list[Metric]) -> Iterator[str]:
    for one in sorted(families, key=lambda family: family.name):
        name = f"{one.name}_total" if one.type == "counter" else one.name
        labels = sorted({label for sample in one.samples for label in sample.labels} - OF_KIND)
        told = ", ".join(f"`{label}`" for label in labels)
        yield f"| `{name}` | {one.type} | {told} | {re.sub(r'[|]', '', one.documentation)} |"


async def scraped(home: Path) -> str:
    """What a broker answers once it has run something."""
    async with TestBroker(home, toml=FLEET + EVERYTHING) as broker:
        await broker.execute("writer")
        await broker.get("/api/integrity/check")
        await broker.post("/api/integrity/backup")
        await broker.post("/api/health/environment")
        await broker.settle()
        return (await broker.http.get("/metrics")).text


def page(text: str) -> str:
    """The text of docs/metrics.md: what a person wrote, then the table."""
    written, heading, _ = PAGE.read_text(encoding="utf-8").partition(HEADING)
    return written + heading + table(text)


def main() -> None:
    """Write the page."""
    with tempfile.TemporaryDirectory() as home:
        PAGE.write_text(page(asyncio.run(scraped(Path(home)))), encoding="utf-8")


if __name__ == "__main__":
    main()
