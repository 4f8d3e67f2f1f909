"""``[receivers.NAME]`` and ``[owners."@name"]``: who is reached, and by what."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, Self

import httpx
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from kokino.config import Config, Faults, Section, Settings
from kokino.notify.model import Severity

#: The receiver that is always there.
LOG = "log"
PAGERDUTY_URL = "https://events.pagerduty.com"
#: Types that are planned and that this version does not have.
LATER_TYPES = ("email", "webhook")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReceiver:
    """The broker's log."""

    is_paging: ClassVar[bool] = False
    channel: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackReceiver:
    """One Slack channel, by incoming webhook."""

    is_paging: ClassVar[bool] = False
    #: A secret: whoever has it can post.
    webhook_url: str = field(repr=False)
    #: The channel that the webhook belongs to, such as ``#headless-alerts``; rules name it.
    channel: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PagerDutyReceiver:
    """One PagerDuty service, by its integration key."""

    is_paging: ClassVar[bool] = True
    url: str
    #: A secret: whoever has it can page and resolve.
    routing_key: str = field(repr=False)
    channel: ClassVar[None] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertmanagerReceiver:
    """A Prometheus Alertmanager, or all members of a cluster."""

    #: Whom it wakes is its own affair: we cannot know.
    is_paging: ClassVar[bool] = False
    #: May hold a password.
    urls: tuple[str, ...] = field(repr=False)
    #: It hears of the watchdog too.
    watchdog: bool = False
    channel: ClassVar[None] = None


Receiver = LogReceiver | SlackReceiver | PagerDutyReceiver | AlertmanagerReceiver


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """Which receivers there are, and which of them hear of what."""

    receivers: Mapping[str, Receiver]
    #: Names of receivers by owner; an owner that is not in it has all of them.
    owners: Mapping[str, tuple[str, ...]]

    def receivers_for(self, owner: str, severity: Severity, channel: str | None) -> tuple[str, ...]:
        """Who is told: for P1 whoever can page the owner, first; for every severity whoever posts.

        Posts go to the owner's receivers and to those of the rule's `channel`, whoever owns them. What would
        reach nobody goes to the log. An owner that was not written down has every receiver: better told too
        often than not at all.
        """
        own = self.owners.get(owner, tuple(self.receivers))
        pages = [name for name in own if self.is_paging(name)] if severity is Severity.P1 else []
        posts = [name for name in own if not self.is_paging(name)]
        return tuple(dict.fromkeys([*pages, *posts, *self._serving(channel)])) or (LOG,)

    def is_paging(self, name: str) -> bool:
        """True for a receiver that wakes a person."""
        return name in self.receivers and self.receivers[name].is_paging

    @property
    def paging(self) -> frozenset[str]:
        """The names of all receivers that wake a person."""
        return frozenset(name for name in self.receivers if self.is_paging(name))

    def _serving(self, channel: str | None) -> Iterable[str]:
        if channel is None:
            return ()
        return (name for name, receiver in self.receivers.items() if receiver.channel == channel)


def check_address(value: str) -> str:
    """`value` if it is an http or https address; `ValueError`, which does not repeat it, if not."""
    try:
        url = httpx.URL(value)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError("must be an address that starts with https:// or http://")
    return value


def _refuse(value: str | None) -> str | None:
    if value is not None:
        raise ValueError("is not in this version")
    return value


def _filled(value: object) -> object:
    if not isinstance(value, list) or not value:
        raise ValueError('must be a list of addresses, such as ["http://127.0.0.1:9093"]')
    return value


_Address = Annotated[str, AfterValidator(check_address)]
_Later = Annotated[str | None, AfterValidator(_refuse)]


class _LogSettings(Settings):
    type: Literal["log"]


class _SlackSettings(Settings):
    type: Literal["slack"]
    #: Name of the environment variable that holds the webhook's URL.
    webhook_url_env: str | None = None
    #: The webhook's URL itself, for receivers where it is no secret.
    url: _Address | None = None
    channel: str | None = Field(default=None, pattern=r"^[#@]\S+$")
    token_env: _Later = None

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if (self.webhook_url_env is None) == (self.url is None):
            raise ValueError("needs one of webhook_url_env and url")
        return self


class _PagerDutySettings(Settings):
    type: Literal["pagerduty"]
    url: _Address = PAGERDUTY_URL
    #: Name of the environment variable that holds the integration key.
    routing_key_env: str
    api_token_env: _Later = None


class _AlertmanagerSettings(Settings):
    type: Literal["alertmanager"]
    urls: Annotated[tuple[_Address, ...], BeforeValidator(_filled)]
    watchdog: bool = False


class _OwnerSettings(Settings):
    receivers: tuple[str, ...]


def read_routing(config: Config, faults: Faults, env: Mapping[str, str] = os.environ) -> Routing:
    """The routing that `config` asks for; what is wrong with it goes into `faults`, secrets never do."""
    section = config.section("receivers")
    receivers: dict[str, Receiver] = {}
    for name, table in _tables(section, faults):
        receiver = _receiver(name, table, faults, env)
        if receiver is not None:
            receivers[name] = receiver
    return Routing(receivers=receivers, owners=_owners(config.section("owners"), set(section.values), faults))


def _tables(section: Section, faults: Faults) -> list[tuple[str, Section]]:
    for name, value in section.values.items():
        if not isinstance(value, Mapping):
            faults.add(section.fault(name, f"must be a table: [{section.path}.{name}]"))
    return section.tables()


def _receiver(name: str, section: Section, faults: Faults, env: Mapping[str, str]) -> Receiver | None:
    kind = section.values.get("type")
    if name == LOG and kind != "log":
        faults.add(section.fault("", "is the log's own name: choose another"))
        return None
    match kind:
        case "log":
            return LogReceiver() if section.read(_LogSettings, faults) else None
        case "slack":
            return _slack(section, faults, env)
        case "pagerduty":
            return _pagerduty(section, faults, env)
        case "alertmanager":
            return _alertmanager(section, faults)
    faults.add(section.fault("type", _about_type(kind)))
    return None


def _about_type(kind: object) -> str:
    known = "known: slack, pagerduty, alertmanager, log"
    if kind is None:
        return f"is missing; {known}"
    return (
        f"{kind!r} is not in this version; {known}"
        if kind in LATER_TYPES
        else f"{kind!r} is no type; {known}"
    )


def _slack(section: Section, faults: Faults, env: Mapping[str, str]) -> SlackReceiver | None:
    settings = section.read(_SlackSettings, faults)
    if settings is None:
        return None
    url = settings.url
    if settings.webhook_url_env is not None:
        url = address_in(section, "webhook_url_env", settings.webhook_url_env, faults, env)
    return None if url is None else SlackReceiver(webhook_url=url, channel=settings.channel)


def _pagerduty(section: Section, faults: Faults, env: Mapping[str, str]) -> PagerDutyReceiver | None:
    settings = section.read(_PagerDutySettings, faults)
    if settings is None:
        return None
    key = secret_in(section, "routing_key_env", settings.routing_key_env, faults, env)
    return None if key is None else PagerDutyReceiver(url=settings.url, routing_key=key)


def _alertmanager(section: Section, faults: Faults) -> AlertmanagerReceiver | None:
    settings = section.read(_AlertmanagerSettings, faults)
    if settings is None:
        return None
    return AlertmanagerReceiver(urls=settings.urls, watchdog=settings.watchdog)


def address_in(
    section: Section, setting: str, variable: str, faults: Faults, env: Mapping[str, str]
) -> str | None:
    """The address that an environment variable holds; what is wrong with it goes into `faults`."""
    return _checked(section, setting, secret_in(section, setting, variable, faults, env), faults)


def secret_in(
    section: Section, setting: str, variable: str, faults: Faults, env: Mapping[str, str]
) -> str | None:
    """What an environment variable holds; a fault where it holds nothing."""
    value = env.get(variable, "").strip()
    if not value:
        faults.add(section.fault(setting, f"names {variable}, which is not set in the broker's environment"))
    return value or None


def _checked(section: Section, setting: str, url: str | None, faults: Faults) -> str | None:
    try:
        return None if url is None else check_address(url)
    except ValueError as error:
        faults.add(section.fault(setting, f"names a variable whose value {error}"))
        return None


def _owners(section: Section, receivers: set[str], faults: Faults) -> dict[str, tuple[str, ...]]:
    owners: dict[str, tuple[str, ...]] = {}
    known = sorted({LOG, *receivers})
    for name, table in _tables(section, faults):
        settings = table.read(_OwnerSettings, faults)
        if settings is None:
            continue
        for unknown in [receiver for receiver in settings.receivers if receiver not in known]:
            faults.add(table.fault("receivers", f"{unknown!r} is no receiver; known: {', '.join(known)}"))
        owners[name] = settings.receivers
    return owners
