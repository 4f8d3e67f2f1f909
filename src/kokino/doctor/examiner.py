"""CLIs are tried out: each is started for a moment, in each environment that its agents have."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from kokino.agents.drivers.contract import Invocation
from kokino.agents.drivers.registry import driver_named
from kokino.agents.model import Agent, CliType
from kokino.clock import Stopwatch
from kokino.doctor import trial
from kokino.doctor.model import Check, Diagnosis
from kokino.doctor.onlooker import Onlooker
from kokino.doctor.program import check_version, program_of
from kokino.doctor.setting import Setting, together
from kokino.doctor.settings import DryRun
from kokino.errors import KokinoError
from kokino.executions.model import Execution
from kokino.process.client import CommandNotFound, DirectoryNotFound, Warden
from kokino.process.errand import Errand, Report, send
from kokino.process.versions import version_in

#: CLIs that are started at the same time: some take a second of a whole core to tell their version.
AT_ONCE = 4
#: How long a prompt is waited for, in seconds: longer than it may run.
TURN = 120.0


@dataclass(slots=True, kw_only=True)
class Examiner(Onlooker):
    """Looks as an onlooker does, and tries the CLI out meanwhile."""

    warden: Warden
    #: Below it each CLI that is tried out has a folder meanwhile.
    spool: Path
    #: Has a CLI type answer a prompt; None where no broker runs.
    ask: Callable[[str], Awaitable[Execution]] | None
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def examine(
        self, cli_type: CliType, agents: Sequence[Agent], now: datetime, before: Diagnosis | None = None
    ) -> Diagnosis:
        """Check the CLI type as its agents would use it; `before` is what was found the last time."""
        settings = self._settings_of(cli_type, agents)
        was_full = before is not None and any(check.name == "disk" for check in before.failed)
        looking = self._looked_at(settings, now, was_full=was_full)
        trials, found = await asyncio.gather(self._tried(settings), looking)
        return self._diagnosis(cli_type, (*found, *trials), now)

    async def _tried(self, settings: Sequence[Setting]) -> tuple[Check, ...]:
        """The dry run, and the version that it tells."""
        driver = driver_named(settings[0].cli_type.driver)
        if self.settings.dry_run is DryRun.OFF:
            return (trial.untried("doctor.dry_run is off"),)
        if self.settings.dry_run is DryRun.PROMPT:
            return (await self._asked(settings[0].cli_type.name),)
        if driver.needs.dry_run is None:
            return (trial.untried(f"what a CLI of the driver {driver.name!r} is, nobody can know"),)
        found = await asyncio.gather(*(self._run(one, driver.needs.dry_run) for one in settings))
        versions = [
            (one, version)
            for one, (_, report) in zip(settings, found, strict=True)
            if (version := _version(one, report)) is not None
        ]
        dry_run = together((one, check) for one, (check, _) in zip(settings, found, strict=True))
        return (dry_run, *([together(versions)] if versions else []))

    async def _asked(self, cli_type: str) -> Check:
        """A prompt has a deadline of its own from its start on: one that is later waits for its turn."""
        if self.ask is None:
            serve = f"kokino serve --home {shlex.quote(str(self.home))}"
            return trial.unmade("a prompt takes a broker that runs, then ask again", mend=serve)
        try:
            async with asyncio.timeout(TURN):
                return trial.judge_answer(await self.ask(cli_type))
        except TimeoutError:
            return trial.untried(f"the prompt had no answer after {TURN:g} s, it waits for its turn")

    async def _run(self, setting: Setting, arguments: tuple[str, ...]) -> tuple[Check, Report | None]:
        errand = self._errand(setting, arguments)
        async with self._room:
            watch = Stopwatch()
            try:
                report = await self._sent(errand)
            except TimeoutError:
                return trial.late(errand.argv, errand.patience), None
            except CommandNotFound:
                return trial.failed("not started: its program is missing, see binary"), None
            except DirectoryNotFound:
                return trial.failed("not started: its working directory is missing, see environment"), None
            except (KokinoError, OSError) as error:
                return trial.failed(f"could not be started: {error}"), None
        return trial.judge(errand.argv, report, watch.seconds, setting.env), report

    async def _sent(self, errand: Errand) -> Report:
        """What came of it; at the second try where the first was late: on a busy machine any CLI may be."""
        with suppress(TimeoutError):
            return await send(errand, self.warden, self.spool)
        return await send(errand, self.warden, self.spool)

    def _errand(self, setting: Setting, arguments: tuple[str, ...]) -> Errand:
        """As the broker would start it, but for what it is told."""
        command = setting.cli_type.command
        usual = driver_named(setting.cli_type.driver).command(
            Invocation(
                agent_id="doctor",
                command=command,
                session_id="doctor",
                is_resume=False,
                prompt_file=self.spool / "prompt",
            )
        )
        mark = sha256(repr((setting.cli_type.name, sorted(setting.env.items()))).encode()).hexdigest()
        return Errand(
            name=f"doctor-{mark[:16]}",
            argv=(*command, *arguments),
            env={**setting.env, **usual.env},
            cwd=setting.cwd,
            patience=self.settings.timeout.total_seconds(),
        )


def _version(setting: Setting, report: Report | None) -> Check | None:
    cli_type = setting.cli_type
    told = version_in(report.stdout) if report is not None and report.ended.code == 0 else None
    return check_version(driver_named(cli_type.driver), program_of(cli_type, setting.env), told)
