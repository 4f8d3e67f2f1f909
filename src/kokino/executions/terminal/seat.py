"""Where a CLI is worked in a terminal: what an attempt does otherwise than for a headless one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Self

import structlog

from kokino.agents.drivers.contract import Interactive, Invocation, Surroundings
from kokino.agents.drivers.terminal.registry import form_of
from kokino.agents.model import Agent, Mode
from kokino.errors import ProcessError
from kokino.executions.model import Ending, Execution, Waiting
from kokino.executions.output.follow import Follow
from kokino.executions.output.spool import Spool
from kokino.executions.output.streams import Source
from kokino.executions.stop import Stop
from kokino.executions.terminal.ending import Seen, explain
from kokino.executions.terminal.looks import Looks
from kokino.executions.terminal.patience import Patience
from kokino.executions.terminal.questions import Questions
from kokino.executions.terminal.typist import Typist
from kokino.executions.workshop import Workshop
from kokino.process.model import Launch
from kokino.process.tmux.client import TmuxFailed
from kokino.process.tmux.terminal import Gone, Terminal

log = structlog.get_logger(__name__)

#: What a CLI in a terminal draws for: every system that has tmux knows it.
TERM = "screen-256color"


class GivenUp(ProcessError):
    """It was to end before it was started."""


@dataclass(slots=True)
class Seat:
    """One process of an execution in its agent's terminal."""

    workshop: Workshop
    execution: Execution
    spool: Spool
    form: Interactive
    #: Who types; None before it runs, and for what an earlier broker started.
    typist: Typist | None = None
    _terminal: Terminal | None = None
    _has_records: bool = False
    _working: asyncio.Task[None] | None = None
    #: How its terminal was lost, known once its CLI has ended.
    _gone: Gone | None = None
    _patience: Patience = field(default_factory=Patience)

    @classmethod
    def of(cls, workshop: Workshop, execution: Execution, spool: Spool) -> Self | None:
        """None for a headless execution. Raises `ProcessError` for a driver without a form for terminals."""
        if execution.mode != Mode.TMUX:
            return None
        form = form_of(str(execution.driver))
        if form is None:
            raise ProcessError(f"the driver {execution.driver!r} has no form for a terminal; run it headless")
        return cls(workshop, execution, spool, form)

    def read_by(self, follow: Follow) -> None:
        """Have the files followed that the CLI writes here; what an earlier broker noted of them counts."""
        try:
            noted = json.loads(self.spool.session.read_bytes())
        except (FileNotFoundError, ValueError):  # not begun, or lost with the machine's power
            return
        self._follow(follow, None if noted is None else Path(noted["path"]), noted and noted["beginsAt"])

    async def prepare(self, launch: Launch, invocation: Invocation, follow: Follow) -> Launch:
        """The launch in a terminal of its own.

        Raises `GivenUp` where it shall end meanwhile, `ProcessError` where no terminal can be had.
        """
        self._terminal = await self._opened()
        surroundings = Surroundings(env=launch.env, cwd=launch.cwd)
        records = await asyncio.to_thread(self.form.records, invocation, surroundings)
        # It marks that something may have been started: such an execution is never begun a second time.
        self.spool.stdout.touch(mode=0o600)
        begins_at = records.stat().st_size if records is not None and records.exists() else 0
        noted = None if records is None else {"path": str(records), "beginsAt": begins_at}
        self.spool.session.write_text(json.dumps(noted), encoding="utf-8")
        self._follow(follow, records, begins_at)
        return replace(launch, terminal=self._terminal.tty, env={**launch.env, "TERM": TERM})

    async def work(
        self, follow: Follow, agent: Agent, note: Callable[[Waiting | None], Awaitable[None]]
    ) -> None:
        """Type the prompt and leave when it is done."""
        assert self._terminal is not None  # noqa: S101 - it was prepared
        questions = Questions(
            terminal=self._terminal,
            form=self.form,
            permissions=agent.permissions,
            clock=self.workshop.clock,
            note=note,
            woke=follow.woke,
        )
        self.typist = Typist(
            looks=Looks(self._terminal, self.form),
            questions=questions,
            follow=follow,
            prompt=self.execution.prompt,
            screen_file=None if self._has_records else self.spool.screen,
            processes=self._processes,
        )
        follow.exchange = questions
        self._working = asyncio.current_task()
        await self.typist.work()

    @property
    def questions(self) -> Questions | None:
        """What its CLI asks; None before it runs, and for what an earlier broker started."""
        return self.typist.questions if self.typist else None

    def hurry(self, grace: timedelta) -> None:
        """It shall end: tmux is not waited for any longer than this."""
        self._patience.shorten(grace)

    async def halt(self) -> bool:
        """Have the CLI stop by itself, by its own keys; False where tmux does not take them in time."""
        # First: an Enter behind these keys would send what was pasted.
        self._leave_typing()
        if self.typist is None:
            return True
        try:
            async with self._patience.asking():
                await self.typist.halt()
        except TimeoutError:
            return False
        return True

    async def leave(self, how: str) -> None:
        """The CLI has ended: stop looking, and keep what it showed last where that is the reason.

        Its last screen stays, and would look as if it were still at work: below it stands how it ended.
        """
        if self.typist is None or self._terminal is None:
            return
        self._leave_typing()
        with suppress(TimeoutError, TmuxFailed, OSError):  # then nobody knows
            async with self._patience.asking():
                self._gone = await self._terminal.gone()
                self._keep(await self.typist.last_screen())
                await self._terminal.say(how)
                await self._terminal.tidy()

    def explain(self, ending: Ending, stop: Stop | None, *, is_final: bool) -> Ending:
        """The end with what is known here alone: was it typed, was it asking, is its terminal there."""
        typist = self.typist
        seen = Seen(
            # Of what an earlier broker started nobody knows how far it was typed.
            was_typed=typist.was_typed if typist else self.spool.session.exists(),
            is_final=is_final,
            was_asking=typist is not None and typist.questions.was_asking,
            gone=self._gone,
            trouble=typist.trouble if typist else None,
        )
        return explain(ending, stop, seen)

    async def _opened(self) -> Terminal:
        try:
            async with self._patience.asking():
                return await self.workshop.terminals.terminal(self.execution.agent_id)
        except TimeoutError as error:
            raise GivenUp(
                "its deadline was over before tmux gave it a terminal: nothing was started"
            ) from error

    def _keep(self, lines: list[bytes]) -> None:
        try:
            if lines:
                with self.spool.screen.open("ab") as file:
                    file.write(b"\n".join(lines) + b"\n")
        except OSError as error:  # how it ended is known without it
            log.warning(
                "the last screen of a CLI cannot be kept",
                execution=self.execution.execution_id,
                reason=str(error),
            )

    def _leave_typing(self) -> None:
        if self._working is not None:
            self._working.cancel()

    def _follow(self, follow: Follow, records: Path | None, begins_at: int | None) -> None:
        self._has_records = records is not None
        screen = follow.reader.stderr if self._has_records else follow.reader.stdout
        shown = Source(name="screen", path=self.spool.screen, take=screen)
        if records is None:
            follow.read_from(shown)
            return
        is_ours = records == self.spool.stdout
        said = Source(
            name="stdout" if is_ours else "session",
            path=records,
            take=follow.reader.stdout,
            begins_at=begins_at or 0,
            is_ours=is_ours,
        )
        follow.read_from(said, shown)

    def _processes(self) -> int | None:
        sample = self.workshop.warden.samples.get(self.execution.execution_id)
        return None if sample is None else sample.processes
