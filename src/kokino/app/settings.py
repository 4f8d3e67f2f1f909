"""Everything that ``kokino.toml`` says, checked: all nouns' sections, with all faults at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from kokino.agents.model import Agent, CliType
from kokino.agents.settings import read_agents, read_cli_types, with_terminals
from kokino.app.documents import Documents, read_documents
from kokino.config import Config, Faults, Length, Section, Settings, Whole
from kokino.doctor.settings import DoctorSettings
from kokino.engine.heartbeat import SHORTEST_INTERVAL
from kokino.errors import StorageError
from kokino.executions.sessions import LONGEST_AGE
from kokino.integrity.settings import IntegritySettings
from kokino.notify.settings import Routing, address_in, check_address, read_routing
from kokino.shadow.files import Bounds
from kokino.storage import check_url, default_url

_BOUNDS = Bounds()


class ServerSettings(Settings):
    """``[server]``: where the broker answers, and who may ask."""

    host: str = Field("127.0.0.1", description="address to listen on; any but loopback demands a token")
    port: Whole = Field(5050, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    public_url: str | None = Field(
        None, description="how people reach it, for links in pages; default: host and port"
    )
    auth: Literal["local", "required"] = Field("local", description="required: nothing goes without a token")
    drain: Length = Field(timedelta(seconds=20), description="how long a stop waits for what runs")

    @field_validator("public_url")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return value


#: No window that anything asks for is longer than 30 days; its first day is not the last one that is kept.
SHORTEST_KEPT = timedelta(days=31)


class StorageSettings(Settings):
    """``[storage]``: where everything is kept, and how long."""

    url: str | None = Field(
        None, description="sqlite:///… or postgresql://…, one broker for each; default: broker/data/kokino.db"
    )
    keep_events: Length = Field(
        timedelta(days=90),
        ge=SHORTEST_KEPT,
        le=LONGEST_AGE,
        description="how long events are kept; 31 days at least",
    )
    keep_rollups: Length = Field(
        timedelta(days=400),
        ge=SHORTEST_KEPT,
        le=LONGEST_AGE,
        description="how long the sums over minutes, hours and days are; what was ever counted stays",
    )
    keep_executions: Length = Field(
        timedelta(days=30),
        ge=timedelta(days=2),
        le=LONGEST_AGE,
        description="how long executions are, with their output and what was said in them; 2 days at least",
    )
    keep_history: Length = Field(
        timedelta(days=400),
        ge=SHORTEST_KEPT,
        le=LONGEST_AGE,
        description="how long changes of alerts, ended silences and deliveries, and integrity checks are",
    )

    @field_validator("url")
    @classmethod
    def _is_a_database(cls, value: str | None) -> str | None:
        try:
            check_url(value or "sqlite:///default")
        except StorageError as error:
            raise ValueError(error.message.removeprefix("storage.url ")) from error
        return value


class ProcessSettings(Settings):
    """``[process]``: how executions are run."""

    hold: Length = Field(timedelta(seconds=30), description="how long CLIs live on when the broker dies")
    executions: Whole = Field(32, ge=1, le=10_000, description="how many may run at the same time")
    cgroup: Literal["auto", "off"] = Field(
        "auto", description="auto: each execution in a control group (v2) of its own, where one is delegated"
    )

    @property
    def may_use_cgroup(self) -> bool:
        """False where control groups are switched off."""
        return self.cgroup == "auto"


class SessionSettings(Settings):
    """``[sessions]``: how long agents remember."""

    max_age: Length = Field(
        timedelta(days=30),
        gt=timedelta(0),
        le=LONGEST_AGE,
        description="a session that was not used for so long is forgotten; looked at hourly",
    )


class FallbackSettings(Settings):
    """``[fallback]``: how what is disabled is asked whether it works again."""

    probe_every: Length = Field(
        timedelta(seconds=60),
        ge=timedelta(seconds=1),
        le=timedelta(days=1),
        description="between two probes while they succeed; what goes on failing is asked less often",
    )
    probes_wanted: Whole = Field(
        3, ge=1, le=1000, description="good probes in a row after which it may be used again"
    )


class CalendarSettings(Settings):
    """``[calendar]``: how times are written for people."""

    timezone: str = Field("UTC", description="of the times in review documents, and of integrity.at")

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as error:  # OSError: a folder of zones
            raise ValueError(f"{value!r} is no time zone; use a name such as Europe/Berlin") from error
        return value


class AlertingSettings(Settings):
    """``[alerting]``: what holds for all alert rules."""

    longest_silence: Length = Field(
        timedelta(days=7), gt=timedelta(0), description="no silence lasts longer; it can be made anew"
    )
    heartbeat_url: str | None = Field(
        None,
        description="asked for again and again while alerts are looked at: a dead man's switch elsewhere",
    )
    heartbeat_url_env: str | None = Field(
        None, description="name of the environment variable that holds it, where it is a secret"
    )
    heartbeat_every: Length = Field(
        timedelta(minutes=1), ge=SHORTEST_INTERVAL, description="how often; 10 seconds at least"
    )

    @field_validator("heartbeat_url")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        return None if value is None else check_address(value)

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if self.heartbeat_url is not None and self.heartbeat_url_env is not None:
            raise ValueError("takes one of heartbeat_url and heartbeat_url_env, not both")
        return self


class ShadowSettings(Settings):
    """``[shadow]``: what a snapshot of a working directory may take; one that would take more is not made."""

    snapshot_files: Whole = Field(_BOUNDS.files, ge=1, description="files of a snapshot")
    snapshot_mb: Whole = Field(_BOUNDS.megabytes, ge=1, description="size of a snapshot, in MiB")

    @property
    def bounds(self) -> Bounds:
        """Both."""
        return Bounds(files=self.snapshot_files, megabytes=self.snapshot_mb)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The whole configuration, ready to build from."""

    config: Config
    server: ServerSettings
    storage: StorageSettings
    process: ProcessSettings
    sessions: SessionSettings
    fallback: FallbackSettings
    calendar: CalendarSettings
    alerting: AlertingSettings
    integrity: IntegritySettings
    doctor: DoctorSettings
    shadow: ShadowSettings
    #: Where the heartbeat goes: the file's address, or the one in the variable that it names.
    heartbeat_url: str | None = field(repr=False)
    cli_types: Mapping[str, CliType]
    agents: tuple[Agent, ...]
    routing: Routing
    documents: Documents
    #: What every agent inherits: our own environment without our own secrets.
    environment: Mapping[str, str]


def check(config: Config, environment: Mapping[str, str], *, now: datetime) -> Checked:
    """Check every section. Raises `ConfigInvalid` with all faults of the file at once."""
    faults = Faults()
    for fault in config.unknown_sections():
        faults.add(fault)
    server = config.section("server").read(ServerSettings, faults)
    storage = config.section("storage").read(StorageSettings, faults)
    process = config.section("process").read(ProcessSettings, faults)
    sessions = config.section("sessions").read(SessionSettings, faults)
    fallback = config.section("fallback").read(FallbackSettings, faults)
    calendar = config.section("calendar").read(CalendarSettings, faults)
    alerting = config.section("alerting").read(AlertingSettings, faults)
    integrity = config.section("integrity").read(IntegritySettings, faults)
    doctor = config.section("doctor").read(DoctorSettings, faults)
    shadow = config.section("shadow").read(ShadowSettings, faults)
    heartbeat_url = _heartbeat_url(config.section("alerting"), alerting, faults, environment)
    cli_types = read_cli_types(config, faults)
    cli_types = with_terminals(cli_types, environment)
    agents = read_agents(config, cli_types, faults, now=now)
    routing = read_routing(config, faults, environment)
    documents = read_documents(config.home, faults.found)
    faults.raise_if_any()
    assert documents is not None  # noqa: S101 - it is None only with faults
    return Checked(
        config=config,
        server=server or ServerSettings(),
        storage=storage or StorageSettings(),
        process=process or ProcessSettings(),
        sessions=sessions or SessionSettings(),
        fallback=fallback or FallbackSettings(),
        calendar=calendar or CalendarSettings(),
        alerting=alerting or AlertingSettings(),
        integrity=integrity or IntegritySettings(),
        doctor=doctor or DoctorSettings(),
        shadow=shadow or ShadowSettings(),
        heartbeat_url=heartbeat_url,
        cli_types=cli_types,
        agents=tuple(agents),
        routing=routing,
        documents=documents,
        environment=inherited(environment, config.values),
    )


def _heartbeat_url(
    section: Section, alerting: AlertingSettings | None, faults: Faults, environment: Mapping[str, str]
) -> str | None:
    if alerting is None or alerting.heartbeat_url_env is None:
        return None if alerting is None else alerting.heartbeat_url
    return address_in(section, "heartbeat_url_env", alerting.heartbeat_url_env, faults, environment)


def database_url(checked: Checked, environment: Mapping[str, str]) -> str:
    """``KOKINO_DATABASE_URL``, else the file's, else SQLite below the home."""
    return environment.get("KOKINO_DATABASE_URL") or checked.storage.url or default_url(checked.config.home)


def inherited(environment: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, str]:
    """`environment` without our own variables and those that the file takes secrets from."""
    ours = set(_secret_variables(values))
    return {
        name: value
        for name, value in environment.items()
        if name not in ours and not name.startswith("KOKINO_")
    }


def _secret_variables(value: object) -> Iterator[str]:
    """The names that settings ending in ``_env`` hold, anywhere in the file."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if str(key).endswith("_env") and isinstance(inner, str):
                yield inner
            else:
                yield from _secret_variables(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _secret_variables(inner)
