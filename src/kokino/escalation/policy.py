"""Escalation policies: the packaged table, or a file in its form, read with all its faults at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib.resources import files
from itertools import pairwise

from pydantic import Field

from kokino.config import Length, Settings
from kokino.errors import ConfigInvalid, Fault
from kokino.notify.model import Severity
from kokino.slo import yamlfile


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """One link of the chain."""

    #: Who is told: ``@platform-lead``.
    owner: str
    #: How long after the first tier.
    after: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """What a severity changes about a chain."""

    #: True where an acknowledgement keeps further tiers back; else it only stops reminders.
    acknowledgement_holds: bool
    #: After that the chain goes on as if nobody had acknowledged; None: it lasts as long as the episode.
    acknowledgement_lasts: timedelta | None = None
    #: How often the last tier is told again while nobody acknowledges; None: never.
    remind_every: timedelta | None = None
    #: A page that no paging receiver accepted for so long goes to the next tier early, once; None: never.
    skip_after: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The chain of one alert rule."""

    id: str
    tiers: tuple[Tier, ...]
    handling: Handling


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """All chains."""

    chains: Mapping[str, tuple[Tier, ...]]
    severities: Mapping[Severity, Handling]

    def policy_for(self, rule_id: str, *, severity: Severity, owner: str) -> Policy:
        """The chain of a rule; one that is not in the table tells its `owner` and nobody else."""
        chain = self.chains.get(rule_id) or (Tier(owner=owner, after=timedelta()),)
        handling = self.severities.get(severity, Handling(acknowledgement_holds=True))
        return Policy(id=rule_id, tiers=chain, handling=handling)


class _Handling(Settings):
    acknowledgement_holds: bool
    acknowledgement_lasts: Length | None = None
    remind_every: Length | None = None
    skip_after: Length | None = None


class _Tier(Settings):
    owner: str = Field(pattern=r"^@\S+$")
    after: Length


class _Document(Settings):
    severities: Mapping[Severity, _Handling]
    policies: Mapping[str, tuple[_Tier, ...]]


@cache
def packaged() -> Policies:
    """The policies of the specification's matrix."""
    faults: list[Fault] = []
    text = files("kokino.escalation").joinpath("policies.yaml").read_text(encoding="utf-8")
    policies = read_policies("policies.yaml", text, faults)
    if policies is None:
        raise ConfigInvalid(faults)
    return policies


def read_policies(name: str, text: str, faults: list[Fault]) -> Policies | None:
    """The policies in `text`; None when it has faults, which are then in `faults`. `name` stands in these."""
    file = yamlfile.parse(name, text, faults)
    document = None if file is None else yamlfile.read(file, _Document, faults)
    if file is None or document is None:
        return None
    found = [
        file.fault(["policies", rule_id], said)
        for rule_id, tiers in document.policies.items()
        for said in _chain_faults(tiers)
    ]
    faults.extend(found)
    return None if found else _policies(document)


def _policies(document: _Document) -> Policies:
    return Policies(
        chains={
            rule_id: tuple(Tier(owner=tier.owner, after=tier.after) for tier in tiers)
            for rule_id, tiers in document.policies.items()
        },
        severities={name: Handling(**dict(handling)) for name, handling in document.severities.items()},
    )


def _chain_faults(tiers: tuple[_Tier, ...]) -> list[str]:
    if not tiers:
        return ["names nobody: a chain has one tier at least"]
    faults = [] if tiers[0].after == timedelta() else ["must tell its first tier at once, after: 0s"]
    if any(later.after <= earlier.after for earlier, later in pairwise(tiers)):
        faults.append("must tell each tier later than the one before it")
    return faults
