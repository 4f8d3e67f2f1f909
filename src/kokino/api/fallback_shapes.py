"""What ``/api/fallback`` shows of what is out of use or waits."""

from __future__ import annotations

from pydantic import Field

from kokino.agents.model import Agent, Fallback, Pause
from kokino.agents.routing import TMUX, target_of
from kokino.api.shapes import Shape, Time


class ProbesShape(Shape):
    """How the probes of a disabled CLI type have gone."""

    wanted: int
    good: int
    due_at: Time | None
    last_at: Time | None
    last_outcome: str | None


class DisabledShape(Shape):
    """A disabled CLI type."""

    cli: str
    disabled: bool = True
    reason: str
    since: Time
    target: str | None
    set_by: str
    probes: ProbesShape


class ForcedShape(Shape):
    """An agent that is sent elsewhere by name."""

    agent_id: str
    cli: str
    #: Where it goes.
    target: str
    reason: str
    since: Time
    set_by: str
    #: A circuit breaker did it: good probes alone undo it.
    automatic: bool
    #: Why what it is given is refused at present; null where it has a way.
    refused: str | None
    probes: ProbesShape


class PauseShape(Shape):
    """A pause."""

    scope: str
    id: str
    reason: str
    since: Time
    set_by: str
    #: When it lifts itself; null until somebody resumes it.
    ends_at: Time | None


class StrandedShape(Shape):
    """An agent that is left without a way: what it is given is refused with 503."""

    agent_id: str
    reason: str


class FallbackStatus(Shape):
    """All that is out of use or waits, and whom that leaves without a way."""

    disabled_clis: list[DisabledShape] = Field(alias="disabledCLIs")
    forced_fallbacks: list[ForcedShape]
    stranded: list[StrandedShape]
    pauses: list[PauseShape]


def disabled_shape(fallback: Fallback, wanted: int) -> DisabledShape:
    """A disabled CLI type as the API shows it."""
    return DisabledShape(
        cli=fallback.cli_type,
        reason=fallback.reason,
        since=fallback.since,
        target=fallback.target,
        set_by=fallback.set_by,
        probes=_probes(fallback, wanted),
    )


def forced_shape(fallback: Fallback, agent: Agent | None, wanted: int, refused: str | None) -> ForcedShape:
    """An agent that is sent elsewhere, and why it is refused there, as the API shows it."""
    return ForcedShape(
        agent_id=str(fallback.agent_id),
        cli=fallback.cli_type,
        target=fallback.target or TMUX if agent is None else target_of(agent, fallback),
        reason=fallback.reason,
        since=fallback.since,
        set_by=fallback.set_by,
        automatic=fallback.is_automatic,
        refused=refused,
        probes=_probes(fallback, wanted),
    )


def _probes(fallback: Fallback, wanted: int) -> ProbesShape:
    return ProbesShape(
        wanted=wanted,
        good=fallback.probes_good,
        due_at=fallback.probe_due_at,
        last_at=fallback.probe_last_at,
        last_outcome=fallback.probe_last_outcome,
    )


def pause_shape(pause: Pause) -> PauseShape:
    """A pause as the API shows it."""
    return PauseShape(
        scope=pause.scope.value,
        id=pause.scope_id,
        reason=pause.reason,
        since=pause.since,
        set_by=pause.set_by,
        ends_at=pause.ends_at,
    )
