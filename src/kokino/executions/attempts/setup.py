"""How an execution's CLI is started for its agent: program, flags, model, environment, limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from kokino.agents.drivers.contract import Command, Invocation, Opening
from kokino.agents.environment import environment_of
from kokino.agents.model import Agent, Limits
from kokino.executions.model import MIB, Execution
from kokino.executions.output.spool import Spool
from kokino.executions.workshop import Workshop
from kokino.process.model import Launch


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What holds for every process of one execution."""

    execution: Execution
    agent: Agent
    #: The program and its fixed leading arguments.
    command: tuple[str, ...]
    flags: tuple[str, ...]
    #: Model to ask for; None leaves the CLI's default.
    model: str | None
    #: What the CLI inherits.
    env: Mapping[str, str]

    @classmethod
    def of(cls, workshop: Workshop, execution: Execution, agent: Agent) -> Self:
        """As it is configured now.

        Flags, model and environment of an agent are written for its own CLI; elsewhere they mean nothing.
        """
        cli_type = workshop.cli_types[execution.cli_type]
        is_own = execution.moved_from is None
        return cls(
            execution=execution,
            agent=agent,
            command=cli_type.command,
            flags=(*cli_type.flags, *agent.flags) if is_own else cli_type.flags,
            model=agent.model if is_own else None,
            env=environment_of(workshop.environment, cli_type, agent.env if is_own else {}),
        )

    def opening(self) -> Opening:
        """What a dialogue is about."""
        return Opening(
            prompt=self.execution.prompt,
            cwd=self.agent.cwd,
            model=self.model,
            permissions=self.agent.permissions,
        )

    def invocation(self, spool: Spool) -> Invocation:
        """The prompt, as a driver needs to know it."""
        return Invocation(
            agent_id=self.agent.agent_id,
            command=self.command,
            flags=self.flags,
            model=self.model,
            session_id=str(self.execution.session_id),
            is_resume=bool(self.execution.is_resume),
            prompt_file=spool.prompt,
            records_file=spool.stdout,
        )

    def launch(self, command: Command, spool: Spool, limits: Limits, *, stdin: Path | None) -> Launch:
        """What the warden is told."""
        return Launch(
            id=self.execution.execution_id,
            argv=command.argv,
            env={**self.env, **command.env, "KOKINO_AGENT": self.agent.agent_id},
            cwd=self.agent.cwd,
            stdin=stdin,
            stdout=spool.stdout,
            stderr=spool.stderr,
            exit_file=spool.exit,
            grace=limits.grace,
            memory_bytes=limits.memory_mb * MIB,
            processes=limits.processes,
            spool_bytes=limits.output_mb * MIB,
            title=f"{self.execution.cli_type} {self.agent.agent_id}",
        )
