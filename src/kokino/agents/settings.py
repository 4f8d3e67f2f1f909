"""``[cli_types.NAME]`` and ``[[agents]]``: what may stand there, and what it becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from kokino import ids
from kokino.agents import printable
from kokino.agents.drivers.registry import DRIVERS, driver_named
from kokino.agents.drivers.terminal.registry import form_of, is_guessed
from kokino.agents.model import (
    OWN_AGENTS,
    Agent,
    CliType,
    Limits,
    Mode,
    Permissions,
    Source,
    account_of,
)
from kokino.agents.names import CliTypeName, in_full
from kokino.agents.retries import Retries
from kokino.agents.routing import PARK, TMUX
from kokino.config import Amount, Config, Faults, Length, Section, Settings, Whole
from kokino.process.tmux.server import why_missing

_DEFAULT = Limits()


def _with_folders(env: dict[str, str]) -> dict[str, str]:
    if fault := printable.fault_in_env(env):
        raise ValueError(fault)
    return env


class CliTypeSettings(Settings):
    """``[cli_types.NAME]``: a way to run a CLI."""

    driver: CliTypeName | None = Field(
        None, description="which driver speaks its language; default: the table's own name"
    )
    command: list[str] | None = Field(
        None,
        description="program and fixed leading arguments; the driver acp has none by default",
        min_length=1,
    )
    flags: list[str] = Field([], description="arguments for every agent of this CLI type")
    env: dict[str, str] = Field({}, description="environment variables for every agent of this CLI type")
    memory_slo_mb: Whole = Field(
        500, ge=1, description="what an execution's process tree should stay under, in MiB"
    )
    breaker_fallback: bool = Field(
        default=False, description="an open circuit breaker sends the agent to its fallback"
    )

    @field_validator("command")
    @classmethod
    def _can_be_shown(cls, value: list[str] | None) -> list[str] | None:
        if fault := next(filter(None, map(printable.fault_in, value or [])), None):
            raise ValueError(fault)
        return value

    @field_validator("env")
    @classmethod
    def _names_folders(cls, value: dict[str, str]) -> dict[str, str]:
        return _with_folders(value)


class LimitSettings(Settings):
    """``limits`` of an agent: what one execution may take."""

    timeout: Length = Field(_DEFAULT.timeout, description="wall deadline from start to end")
    idle: Length = Field(_DEFAULT.idle, description="longest silence while no tool is known to run")
    grace: Length = Field(
        _DEFAULT.grace, description="from the final event to the exit, and from signal to SIGKILL"
    )
    queue: Whole = Field(
        _DEFAULT.queue, ge=0, le=100_000, description="executions that may wait for the agent"
    )
    queue_timeout: Length = Field(
        _DEFAULT.queue_timeout, description="longest wait for the agent to become free"
    )
    memory_mb: Whole = Field(_DEFAULT.memory_mb, ge=16, description="memory of its process tree, in MiB")
    processes: Whole = Field(
        _DEFAULT.processes, ge=1, le=100_000, description="processes of its tree at one time"
    )
    output_mb: Whole = Field(
        _DEFAULT.output_mb, ge=1, description="what its output may take on disk and as records, in MiB"
    )
    spend_usd: Amount | None = Field(
        _DEFAULT.spend_usd, ge=0, description="dollars that the agent may spend a day (UTC)"
    )

    @field_validator("timeout", "idle", "grace", "queue_timeout")
    @classmethod
    def _is_positive(cls, value: timedelta) -> timedelta:
        if value <= timedelta(0):
            raise ValueError("must be longer than 0")
        return value


class AgentSettings(Settings):
    """``[[agents]]``: one worker."""

    id: str = Field(description="its name in paths, logs and pages")
    cli_type: CliTypeName = Field(description="a built-in CLI type or one of [cli_types.NAME]")
    cwd: Path = Field(description="where its CLI is started; below the home folder when relative")
    mode: Mode = Field(Mode.HEADLESS, description="how its prompts run")
    model: str | None = Field(None, description="the model to ask its CLI for")
    flags: list[str] = Field([], description="arguments after those of its CLI type")
    env: dict[str, str] = Field({}, description="environment variables on top of its CLI type's")
    limits: LimitSettings = Field(LimitSettings(), description="what one execution may take")
    fallback: CliTypeName | None = Field(
        None,
        description="tmux, a CLI type, or park: where it runs while its own way is disabled;"
        " default: where the fallback says, else tmux where a driver can read its state there",
    )
    breaker_fallback: bool | None = Field(
        None,
        description="an open circuit breaker sends it to its fallback; default: what its CLI type says",
    )
    account: str | None = Field(None, description="the login it shares; default: its CLI type and HOME")
    pool: str = Field("default", description="which workers run it")
    retries: Retries = Field(
        {}, description="how often it is tried once more, by kind of failure: { network = 2 }"
    )
    permissions: Permissions = Field(
        Permissions.ASK, description="how a CLI that asks for permission is answered; ask waits for a person"
    )

    shadow_sample: Amount = Field(
        1.0, ge=0, le=1, description="in mode shadow: the share of executions that also run headless, 0 to 1"
    )
    shadow_threshold: Amount = Field(
        0.95,
        ge=0,
        le=1,
        description="in mode shadow: from which similarity on two answers are the same, 0 to 1",
    )

    @field_validator("env")
    @classmethod
    def _names_folders(cls, value: dict[str, str]) -> dict[str, str]:
        return _with_folders(value)

    @field_validator("cwd")
    @classmethod
    def _has_a_home(cls, value: Path) -> Path:
        if fault := printable.fault_in(str(value)):
            raise ValueError(fault)
        try:
            return value.expanduser()
        except RuntimeError as error:
            raise ValueError(f"{value.parts[0]} is nobody's home folder here") from error

    @field_validator("id", "pool")
    @classmethod
    def _is_an_id(cls, value: str) -> str:
        if fault := ids.fault_in(value):
            raise ValueError(fault)
        return value


def read_cli_types(config: Config, faults: Faults) -> dict[str, CliType]:
    """The built-in CLI types, with what the file adds or changes."""
    cli_types = {
        name: CliType(name=name, driver=name, command=driver.default_command)
        for name, driver in DRIVERS.items()
        if driver.default_command
    }
    tables = dict(config.section("cli_types").tables())
    for written, section in tables.items():
        name = in_full(written)
        if problem := ids.fault_in(name):
            faults.add(section.fault("", problem))
        elif name != written and name in tables:
            faults.add(
                section.fault("", f"{written!r} is another name of {name!r}, which has a table already")
            )
        else:
            # A faulty one is known all the same: its agents are not to blame as well.
            unknown = CliType(name=name, driver=name, command=(name,))
            cli_types[name] = _cli_type(name, section, faults) or unknown
    return cli_types


def _cli_type(name: str, section: Section, faults: Faults) -> CliType | None:
    settings = section.read(CliTypeSettings, faults)
    if settings is None:
        return None
    wanted = settings.driver or name
    if wanted not in DRIVERS:
        faults.add(
            section.fault("driver", f"there is no driver {wanted!r}; known: {', '.join(sorted(DRIVERS))}")
        )
        return None
    command = tuple(settings.command or driver_named(wanted).default_command)
    if not command:
        message = (
            f"must be given for the driver {wanted!r}: many CLIs speak its language, none is meant by default"
        )
        faults.add(section.fault("command", message))
        return None
    return CliType(
        name=name,
        driver=wanted,
        command=command,
        flags=tuple(settings.flags),
        env=settings.env,
        memory_slo_mb=settings.memory_slo_mb,
        breaker_fallback=settings.breaker_fallback,
    )


def read_agents(
    config: Config, cli_types: Mapping[str, CliType], faults: Faults, *, now: datetime
) -> list[Agent]:
    """The agents that the file names."""
    found: dict[str, Agent] = {}
    seen: set[str] = set()
    for section in config.sections("agents"):
        settings = section.read(AgentSettings, faults)
        problems = _problems(section.values, cli_types, seen)
        for name, message in problems:
            faults.add(section.fault(name, message))
        if settings is not None and not problems:
            found[settings.id] = _agent(settings, cli_types, config.home, now)
    return list(found.values())


def _problems(
    values: Mapping[str, Any], cli_types: Mapping[str, CliType], seen: set[str]
) -> list[tuple[str, str]]:
    """What is wrong with names that are texts, whatever else is wrong: all of it is told at once."""
    problems = []
    known = ", ".join(sorted(cli_types))
    match values.get("id"):
        case str(id_) if id_.startswith(OWN_AGENTS):
            problems.append(
                ("id", f"must not begin with {' or '.join(OWN_AGENTS)}: these are the broker's own")
            )
        case str(id_) if id_ in seen:
            problems.append(("id", f"{id_!r} is the id of an earlier agent"))
        case str(id_):
            seen.add(id_)
    match values.get("cli_type"):
        case str(name) if in_full(name) not in cli_types:
            problems.append(("cli_type", f"there is no CLI type {name!r}; known: {known}"))
    match values.get("fallback"):
        case str(name) if in_full(name) not in {PARK, TMUX, *cli_types}:
            problems.append(("fallback", f"{name!r} is neither tmux, park nor a CLI type; known: {known}"))
        case str(name) if in_full(name) == in_full(str(values.get("cli_type"))):
            problems.append(("fallback", f"{name!r} is its own CLI type; name tmux, park or another one"))
    match values.get("mode"), values.get("cli_type"):
        case Mode.TMUX.value | Mode.SHADOW.value, str(name) if has_no_form(cli_types.get(in_full(name))):
            message = f"CLI type {name!r} has no form for a terminal, only the mode headless"
            problems.append(("mode", message))
        case Mode.SHADOW.value, str(name) if missing := no_shadow(cli_types.get(in_full(name))):
            problems.append(("mode", missing))
    return problems


def has_no_form(cli_type: CliType | None) -> bool:
    """True for a CLI type that nobody can work in a terminal, here or elsewhere."""
    return cli_type is not None and form_of(cli_type.driver) is None


def no_shadow(cli_type: CliType | None) -> str | None:
    """Why nothing could be compared with this CLI type; None where it could."""
    if cli_type is None or cli_type.no_terminal is None:
        return None
    return f"shadow compares headless with tmux, and {cli_type.no_terminal}"


def with_terminals(cli_types: Mapping[str, CliType], environment: Mapping[str, str]) -> dict[str, CliType]:
    """The same, each with what is to be known of working it in a terminal here: why it cannot be, perhaps."""
    missing = why_missing(environment)
    return {
        name: replace(cli_type, no_terminal=f"the driver {cli_type.driver!r} has no form for a terminal")
        if has_no_form(cli_type)
        else replace(cli_type, no_terminal=missing, is_guessed_in_terminal=is_guessed(cli_type.driver))
        for name, cli_type in cli_types.items()
    }


def _agent(settings: AgentSettings, cli_types: Mapping[str, CliType], home: Path, now: datetime) -> Agent:
    return Agent(
        agent_id=settings.id,
        cli_type=settings.cli_type,
        cwd=(home / settings.cwd).absolute(),
        mode=settings.mode,
        model=settings.model,
        env=settings.env,
        flags=tuple(settings.flags),
        limits=Limits(**settings.limits.model_dump()),
        fallback=settings.fallback,
        breaker_fallback=settings.breaker_fallback,
        account=settings.account or account_of(cli_types[settings.cli_type], settings.env),
        pool=settings.pool,
        retries=settings.retries,
        permissions=settings.permissions,
        shadow_sample=settings.shadow_sample,
        shadow_threshold=settings.shadow_threshold,
        source=Source.CONFIG,
        registered_at=now,
    )
