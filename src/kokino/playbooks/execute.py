"""Run one step as a supervised process: bash, an environment of its own, a token for what it may do."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from kokino.clock import Clock
from kokino.errors import ProcessError
from kokino.ids import Ids
from kokino.playbooks.model import Effect, Step
from kokino.playbooks.run import Outcome, StepState
from kokino.process.client import Warden
from kokino.process.model import Ended, Launch
from kokino.storage.redact import redacted
from kokino.storage.text import storable
from kokino.tokens import Scope, Tokens

#: What is kept of each output, in bytes: evidence for a person, and room for the JSON that patterns read.
KEPT = 256 * 1024
#: A step's token outlives its longest timeout, and not by much.
TOKEN_LASTS = timedelta(minutes=15)
#: What a step's token allows: this bounds its effect on the broker, whatever it says.
SCOPES: Mapping[Effect, frozenset[Scope]] = {
    Effect.READ: frozenset({Scope.READ}),
    Effect.WRITE: frozenset({Scope.READ, Scope.RUN, Scope.OPERATE}),
    Effect.DANGEROUS: frozenset({Scope.READ, Scope.RUN, Scope.OPERATE}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRunner:
    """Runs steps. Their processes end with their timeout; what a dead broker left, the next one ends."""

    warden: Warden
    clock: Clock
    ids: Ids
    tokens: Tokens
    #: Steps find curl and jq on its PATH; nothing else is handed on.
    environment: Mapping[str, str]
    home: Path
    #: Each step has a folder below it while it runs.
    spool: Path
    #: Where the broker answers.
    url: str

    async def run(self, step: Step, *, subject: str, inputs: Mapping[str, str]) -> Outcome:
        """Run a step to its end."""
        name = self.ids.new("step")
        folder = self.spool / name
        token = self.tokens.mint(subject, SCOPES[step.effect], ends_at=self.clock.now() + TOKEN_LASTS)
        await asyncio.to_thread(_prepare, folder, step.script, token)
        try:
            ended, is_late = await self._run(name, folder, step, self._environment(folder, token, inputs))
            return await asyncio.to_thread(_outcome, folder, ended, [token], is_late=is_late)
        except ProcessError as error:
            return Outcome(state=StepState.FAILED, exit_code=None, output="", errors=error.message)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _run(self, name: str, folder: Path, step: Step, env: Mapping[str, str]) -> tuple[Ended, bool]:
        await self.warden.start(
            Launch(
                id=name,
                argv=("bash", "-euo", "pipefail", str(folder / "block")),
                env=env,
                cwd=self.home,
                stdin=None,
                stdout=folder / "stdout",
                stderr=folder / "stderr",
                exit_file=folder / "exit",
                grace=timedelta(seconds=1),
            )
        )
        try:
            # Real seconds, whatever the clock is: curl and jq take real ones too.
            async with asyncio.timeout(step.timeout.total_seconds()):
                return await self.warden.ended(name), False
        except TimeoutError:
            await self.warden.stop(name)
            return await self.warden.ended(name), True
        except asyncio.CancelledError:
            # To its end: its keeper still writes the exit file into the folder that is removed next.
            with suppress(ProcessError):
                await self.warden.stop(name, grace=timedelta(0))
                await self.warden.ended(name)
            raise

    def _environment(self, folder: Path, token: str, inputs: Mapping[str, str]) -> dict[str, str]:
        return {
            "PATH": self.environment.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            **inputs,
            "KOKINO_URL": self.url,
            "KOKINO_HOME": str(self.home),
            "KOKINO_TOKEN": token,
            "KOKINO_HEADERS": str(folder / "headers"),
        }


def _prepare(folder: Path, script: str, token: str) -> None:
    folder.mkdir(mode=0o700, parents=True)
    for name, text in (("block", script), ("headers", f"Authorization: Bearer {token}\n")):
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)


def _outcome(folder: Path, ended: Ended, secrets: list[str], *, is_late: bool) -> Outcome:
    by_exit = StepState.PASSED if ended.code == 0 else StepState.FAILED
    return Outcome(
        state=StepState.TIMEOUT if is_late else by_exit,
        exit_code=None if is_late else ended.code,
        output=redacted(_kept(folder / "stdout"), secrets),
        errors=redacted(_kept(folder / "stderr"), secrets),
    )


def _kept(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(KEPT + 1)
    except FileNotFoundError:
        return ""
    text = storable(raw[:KEPT].decode("utf-8", "replace"))
    return text if len(raw) <= KEPT else f"{text}\n[cut after {KEPT} bytes]"
