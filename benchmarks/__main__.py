"""Run benchmarks, show their figures, and write them to build/benchmarks.json with the machine's facts."""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import (
    alert_simulation,
    backtest,
    durable_events,
    execution_overhead,
    hostile_agents,
    integrity_check,
    machine,
    many_executions,
    page_latency,
    rule_table,
)
from benchmarks.result import Benchmark, Figure, Unit
from kokino.log import start_logging

MODULES = (
    execution_overhead,
    many_executions,
    hostile_agents,
    durable_events,
    page_latency,
    rule_table,
    backtest,
    alert_simulation,
    integrity_check,
)
ALL = {module.BENCHMARK.name: module.BENCHMARK for module in MODULES}
DIGITS = {
    Unit.RATIO: 2,
    Unit.MILLISECONDS: 2,
    Unit.PER_SECOND: 0,
    Unit.PER_MONTH: 3,
    Unit.MINUTES: 1,
    Unit.PERCENT: 2,
    Unit.MEBIBYTES: 0,
}
#: Not a temporary folder of the system, which may lie in memory, where a commit costs nothing.
BUILD = Path("build")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the named benchmarks, or all."""
    asked = _parser().parse_args(arguments)
    output: Path = asked.output
    output.parent.mkdir(parents=True, exist_ok=True)
    console = Console()
    about = machine.describe(output.parent)
    found: dict[str, list[Figure]] = {}
    for benchmark in [ALL[name] for name in asked.names or ALL]:
        console.print(f"[bold]{benchmark.name}[/bold]: {benchmark.question}")
        found[benchmark.name] = _run(benchmark, output.parent, is_quick=asked.quick)
        console.print(_table(found[benchmark.name]))
    output.write_text(_document(about, found, is_quick=asked.quick), encoding="utf-8")
    console.print(*(f"{name}: {value}" for name, value in asdict(about).items()), sep="\n", highlight=False)
    if asked.quick:
        console.print("These are figures of --quick: they show that it works, and no speed.")
    console.print(f"Written to {output}.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(ALL)}; default: all", type=_known
    )
    parser.add_argument("--quick", action="store_true", help="a few rounds, to see that they work")
    parser.add_argument("--output", type=Path, default=BUILD / "benchmarks.json", metavar="FILE")
    return parser


def _known(name: str) -> str:
    if name not in ALL:
        raise argparse.ArgumentTypeError(f"there is no benchmark {name!r}; there are: {', '.join(ALL)}")
    return name


def _run(benchmark: Benchmark, where: Path, *, is_quick: bool) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="bench-", dir=where) as name:
        folder = Path(name).resolve()
        # As `kokino serve` does it: what is logged is part of what it costs.
        start_logging(folder / "broker.log", to_terminal=False)
        return asyncio.run(benchmark.run(folder, is_quick))


def _table(figures: Sequence[Figure]) -> Table:
    table = Table("figure", "unit", *("value", "from", "to"))
    for column in table.columns[2:]:
        column.justify = "right"
    for figure in figures:
        digits = DIGITS[figure.unit]
        numbers = (figure.interval.value, figure.interval.low, figure.interval.high)
        shown = [f"{number:,.{digits}f}" for number in numbers]
        table.add_row(figure.name, figure.unit.value, *shown, style="bold" if figure.is_headline else None)
    return table


def _document(about: machine.Machine, found: dict[str, list[Figure]], *, is_quick: bool) -> str:
    results = [
        {
            "name": name,
            "question": ALL[name].question,
            "figures": [
                {
                    "name": each.name,
                    "unit": each.unit,
                    "isHeadline": each.is_headline,
                    **asdict(each.interval),
                }
                for each in figures
            ],
        }
        for name, figures in found.items()
    ]
    return json.dumps({"quick": is_quick, "machine": asdict(about), "benchmarks": results}, indent=2) + "\n"


if __name__ == "__main__":
    main()
