"""The story in the terminal: left what happened, right how the fleet is, drawn at every look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self, TypeVar

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.layout import Layout
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

from kokino.clock import Clock
from kokino.drills import tiles
from kokino.drills.fleet import Fleet
from kokino.drills.observe import Facts
from kokino.drills.report import DIM, body, headline, one_line
from kokino.drills.story import Sighting, Step
from kokino.drills.tiles import framed

T = TypeVar("T")

#: Columns of the right side: fits an agent, an arrow and a CLI type.
RIGHT = 36
#: Blocks that earlier ones make room for: what is waited for, and what was seen last.
ALWAYS_IN_FULL = 2
#: Rows of the terminal from which the right side has room for more than it must show.
TALL = 28
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_REAL = "Real: broker, processes, database, HTTP, playbook."
_PRETEND = "Pretend: the agents' answers, PagerDuty, Slack."


@dataclass(slots=True)
class Told:
    """How far the story has come."""

    seen: list[tuple[Step, Sighting]] = field(default_factory=list)
    #: What is waited for, and since when.
    waiting: tuple[Step, datetime] | None = None
    #: What was seen at the last look.
    facts: Facts | None = None
    #: How often the screen was drawn; turns the spinner.
    frame: int = 0


class Screen:
    """Tells the story on the whole terminal. Leaving its scope gives the terminal back."""

    def __init__(self, console: Console, *, fleet: Fleet, clock: Clock, scale: float, address: str) -> None:
        #: How far the story has come.
        self.told = Told()
        self._console = console
        self._fleet = fleet
        self._clock = clock
        self._scale = scale
        self._address = address
        self._started_at = clock.now()
        self._live = Live(console=console, screen=True, auto_refresh=False)

    def begun(self, step: Step, at: datetime) -> None:
        self.told.waiting = (step, at)
        self._draw()

    def looked(self, facts: Facts) -> None:
        self.told.facts = facts
        self._draw()

    def seen(self, step: Step, sighting: Sighting) -> None:
        self.told.seen.append((step, sighting))
        self.told.waiting = None
        self._draw()

    def picture(self) -> RenderableType:
        """The whole screen as it is now."""
        layout = Layout()
        footer = Text(f" {_REAL} {_PRETEND}", style=DIM, no_wrap=True, overflow="ellipsis")
        layout.split_column(Layout(self._header(), size=1), Layout(name="body"), Layout(footer, size=1))
        story = framed(Story(self.told, self._clock.now()), "What happens")
        layout["body"].split_row(Layout(story), Layout(self._fleet_now(), size=RIGHT))
        return layout

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._live.stop()

    def _draw(self) -> None:
        self.told.frame += 1
        self._live.update(self.picture(), refresh=True)

    def _header(self) -> RenderableType:
        now = self._clock.now()
        real = (now - self._started_at) / self._scale
        pace = f"  clock {self._scale:g}x, {_minutes(real)} of your time "
        row = tiles.grid()
        row.add_row(
            Text.assemble((" kokino demo ", "bold white on dark_cyan"), f" {self._address}"),
            Text.assemble((f"{now:%H:%M:%S}", "bold"), (pace, DIM)),
        )
        return row

    def _fleet_now(self) -> RenderableType:
        facts, is_tall = self.told.facts, self._console.height >= TALL
        if facts is None:
            return framed(Text("The broker has started.", style=DIM), "Availability")
        return Group(
            framed(tiles.availability(facts, width=RIGHT - 4, is_tall=is_tall), "Availability"),
            framed(tiles.cli_types(facts, self._fleet), "CLI types"),
            framed(tiles.agents(facts, self._fleet), "Agents"),
            framed(tiles.receivers(facts), "Pretend services"),
        )


class Story:
    """The story in whatever room there is: the latest steps in full, of earlier ones a line."""

    def __init__(self, told: Told, now: datetime) -> None:
        self._told = told
        self._now = now

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wrapping = options.update(height=None)
        blocks = [
            [row for line in block for row in console.render_lines(line, wrapping, pad=False)]
            for block in story_blocks(self._told, self._now)
        ]
        for row in fitted(blocks, options.height or options.max_height):
            yield from row
            yield Segment.line()


def story_blocks(told: Told, now: datetime) -> list[list[RenderableType]]:
    """A block for each step: its headline, then what was seen. The last one is what is waited for."""
    blocks = [[headline(step, sighting), *body(sighting)] for step, sighting in told.seen]
    if told.waiting is not None:
        step, since = told.waiting
        spinner = _SPINNER[told.frame % len(_SPINNER)]
        waited = f"{_minutes(now - since)}, at most {_minutes(step.budget)}"
        when = (f"{now:%H:%M:%S} ", DIM)
        blocks.append([one_line(Text.assemble(when, (f"{spinner} {step.title}  ", "cyan"), (waited, DIM)))])
    return blocks


def fitted(blocks: Sequence[Sequence[T]], height: int) -> list[T]:
    """At most `height` rows: the latest blocks in full, of others the first row, the first ones left out."""
    rows: list[T] = []
    is_full = False
    for age, block in enumerate(reversed(blocks)):
        # Earlier blocks keep a row each, but not at the cost of the newest.
        kept_free = len(blocks) - age - 1 if age >= ALWAYS_IN_FULL else 0
        is_full = is_full or len(rows) + len(block) + kept_free > height
        rows = [*(block[:1] if is_full else block), *rows]
    return rows[-height:]


def _minutes(length: timedelta) -> str:
    minutes, seconds = divmod(max(int(length.total_seconds()), 0), 60)
    return f"{minutes}:{seconds:02d}"
