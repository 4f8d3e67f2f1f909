"""All checks of one CLI type that start nothing, at the same time, each with a deadline of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from kokino.agents.model import Agent, CliType
from kokino.doctor.looks import looks_at
from kokino.doctor.model import Check, Diagnosis
from kokino.doctor.patience import Look, Threads
from kokino.doctor.setting import Setting, settings_of
from kokino.doctor.settings import DoctorSettings


@dataclass(slots=True, kw_only=True)
class Onlooker:
    """Looks, starts nothing, and keeps no diagnosis."""

    settings: DoctorSettings
    #: What every agent inherits.
    environment: Mapping[str, str]
    #: The broker's folder.
    home: Path
    _threads: Threads = field(default_factory=Threads)

    async def glance(
        self, cli_type: CliType, agents: Sequence[Agent], now: datetime, *, not_tried: Check
    ) -> Diagnosis:
        """Check the CLI type as its agents would use it; `not_tried` says why it is not started."""
        found = await self._looked_at(self._settings_of(cli_type, agents), now)
        return self._diagnosis(cli_type, (*found, not_tried), now)

    def _settings_of(self, cli_type: CliType, agents: Sequence[Agent]) -> list[Setting]:
        return settings_of(cli_type, agents, self.environment, self.home)

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
            said = f"within {patience:g} s: a disk or network folder hangs"
        except OSError as error:
            said = f"here: {error}"
        return Check(name=name, passed=False, message=f"could not be looked at {said}")
