"""All checks of one CLI type, at the same time, each with a deadline of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from kokino.agents.drivers.contract import Invocation
from kokino.agents.drivers.registry import driver_named
from kokino.agents.model import Agent, CliType
from kokino.clock import Stopwatch
from kokino.doctor import trial
from kokino.doctor.diagnose import looks_at
from kokino.doctor.model import Check, Diagnosis
from kokino.doctor.patience import Look, Threads
from kokino.doctor.setting import Setting, settings_of, together
from kokino.doctor.settings import DoctorSettings, DryRun
from kokino.errors import KokinoError
from kokino.executions.errand import Errand, Report, send
from kokino.executions.model import Execution
from kokino.executions.versions import version_in
from kokino.process.client import CommandNotFound, DirectoryNotFound, Warden

#: CLIs that are started at the same time: some take a second of a whole core to tell their version.
AT_ONCE = 4
#: How long a prompt is waited for, in seconds: longer than it may run.
TURN = 120.0


@dataclass(slots=True, kw_only=True)
class Examiner:
    """Makes diagnoses, and keeps none."""

    settings: DoctorSettings
    warden: Warden
    #: Below it each CLI that is tried out has a folder meanwhile.
    spool: Path
    #: What every agent inherits.
    environment: Mapping[str, str]
    #: The broker's folder.
    home: Path
    #: Has a CLI type answer a prompt.
    ask: Callable[[str], Awaitable[Execution]]
    _threads: Threads = field(default_factory=Threads)
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def examine(
        self, cli_type: CliType, agents: Sequence[Agent], now: datetime, before: Diagnosis | None = None
    ) -> Diagnosis:
        """Check the CLI type as its agents would use it; `before` is what was found the last time."""
        settings = settings_of(cli_type, agents, self.environment, self.home)
        was_full = before is not None and any(check.name == "disk" for check in before.failed)
        looking = self._looked_at(settings, now, was_full=was_full)
        trials, found = await asyncio.gather(self._tried(settings), looking)
        return self._diagnosis(cli_type, (*found, *trials), now)

    async def glance(self, cli_type: CliType, agents: Sequence[Agent], now: datetime) -> Diagnosis:
        """The same without starting anything."""
        found = await self._looked_at(settings_of(cli_type, agents, self.environment, self.home), now)
        not_tried = trial.untried("nobody has asked for it with POST /api/health/environment yet")
        return self._diagnosis(cli_type, (*found, not_tried), now)

    def _diagnosis(self, cli_type: CliType, checks: Iterable[Check], now: datetime) -> Diagnosis:
        optional = self.settings.optional
        made = (replace(one, is_required=one.is_required and one.name not in optional) for one in checks)
        return Diagnosis(cli_type=cli_type.name, checks=tuple(made), checked_at=now)

    async def _looked_at(
        self, settings: Sequence[Setting], now: datetime, *, was_full: bool = False
    ) -> list[Check]:
        name = settings[0].cli_type.name
        looks = looks_at(settings, self.home, now=now, was_full=was_full)
        return await asyncio.gather(*(self._seen(name, check, look) for check, look in looks.items()))

    async def _seen(self, cli_type: str, name: str, look: Look) -> Check:
        patience = self.settings.timeout.total_seconds()
        try:
            return await self._threads.run(f"{cli_type} {name}", look, patience)
        except TimeoutError:
            return Check(
                name=name,
                passed=False,
                message=f"could not be looked at within {patience:g} s: a disk or network folder hangs",
            )

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
                return trial.failed("not started: its program is missing"), None
            except DirectoryNotFound:
                return trial.failed("not started: its working directory is missing"), None
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
    driver = driver_named(setting.cli_type.driver)
    told = version_in(report.stdout) if report is not None and report.ended.code == 0 else None
    return trial.check_version(driver, setting.cli_type.command[0], told)
