"""The next step of an escalation: a table of cases, each with the reason why it is there."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from kokino.escalation.decide import Action, decide
from kokino.escalation.model import Acknowledgement, Escalation, EscalationState, Facts, Telling
from kokino.escalation.policy import Policy, packaged
from kokino.incidents.model import IncidentState
from kokino.notify.model import Severity

T = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
POLICIES = packaged()
P1 = POLICIES.policy_for("availability-slo-breach", severity=Severity.P1, owner="@backend-team")
P2 = POLICIES.policy_for("latency-slo-breach", severity=Severity.P2, owner="@backend-team")
P3 = POLICIES.policy_for("lock-timeout", severity=Severity.P3, owner="@backend-team")


def at(minutes: float) -> datetime:
    """An instant on the timeline, in minutes from the first page."""
    return T + timedelta(minutes=minutes)


def told(
    tier: int,
    minutes: float,
    *,
    round: int = 0,
    is_page: bool = True,
    is_accepted: bool = True,
    is_network_up: bool = True,
) -> Telling:
    """A tier was told, by a page that was taken unless said otherwise."""
    return Telling(
        tier=tier,
        round=round,
        at=at(minutes),
        is_page=is_page,
        is_accepted=is_accepted,
        is_network_up=is_network_up,
    )


def acknowledged(minutes: float, *, until: float | None) -> Acknowledgement:
    """Ada has it."""
    return Acknowledgement(by="ada", at=at(minutes), ends_at=None if until is None else at(until))


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is known, and what follows."""

    why: str
    now: float
    expected: Action
    due: float | None = None
    reason: str = ""
    policy: Policy = P1
    tellings: tuple[Telling, ...] = field(default_factory=lambda: (told(0, 0),))
    acknowledgement: Acknowledgement | None = None
    incident: IncidentState | None = IncidentState.OPEN
    state: EscalationState = EscalationState.ACTIVE
    is_firing: bool = True


CASES = [
    Case(why="before its time the next tier is left in peace", now=14.9, expected=Action.WAIT, due=15),
    Case(
        why="unresolved for 15 minutes: the second tier, as the matrix says",
        now=15,
        expected=Action.ADVANCE,
        reason="not resolved within 15 minutes",
    ),
    Case(
        why="unresolved for an hour: the third tier, counted from the first page",
        tellings=(told(0, 0), told(1, 15)),
        now=60,
        expected=Action.ADVANCE,
        reason="not resolved within 60 minutes",
    ),
    Case(
        why="between the second tier and the hour nobody is told",
        tellings=(told(0, 0), told(1, 15)),
        now=59,
        expected=Action.WAIT,
        due=60,
    ),
    Case(
        why="an acknowledged P1 goes on: the specification asks for an end, not for an answer",
        acknowledgement=acknowledged(3, until=33),
        now=15,
        expected=Action.ADVANCE,
    ),
    Case(
        why="a mitigated incident tells nobody more",
        incident=IncidentState.MITIGATED,
        now=15,
        expected=Action.STOP,
        reason="the incident is mitigated",
    ),
    Case(
        why="an incident that a person closed tells nobody more, although its alert still fires",
        incident=IncidentState.RESOLVED,
        now=15,
        expected=Action.STOP,
    ),
    Case(
        why="a repair that did not last is told to whoever was told last",
        state=EscalationState.STOPPED,
        now=15,
        expected=Action.REMIND,
        reason="the incident was opened again",
    ),
    Case(why="the end of the alert takes everything back", is_firing=False, now=15, expected=Action.FINISH),
    Case(
        why="the end comes before all else",
        is_firing=False,
        incident=IncidentState.MITIGATED,
        now=15,
        expected=Action.FINISH,
    ),
    Case(
        why="whoever acknowledged a P1 and fell silent is told again after 30 minutes",
        tellings=(told(0, 0), told(1, 15)),
        acknowledgement=acknowledged(3, until=33),
        now=33,
        expected=Action.REMIND,
        reason="the acknowledgement has expired",
    ),
    Case(
        why="once told after that, it is not told again at once",
        tellings=(told(0, 0), told(1, 15), told(1, 33, round=1)),
        acknowledgement=acknowledged(3, until=33),
        now=34,
        expected=Action.WAIT,
        due=60,
    ),
    Case(
        why="when every tier was told and nobody answers, the last one is reminded",
        tellings=(told(0, 0), told(1, 15), told(2, 60)),
        now=90,
        expected=Action.REMIND,
        reason="every tier was told and nobody has acknowledged",
    ),
    Case(
        why="an acknowledgement stops reminders",
        tellings=(told(0, 0), told(1, 15), told(2, 60)),
        acknowledgement=acknowledged(65, until=95),
        now=90,
        expected=Action.WAIT,
        due=95,
    ),
    Case(
        why="a page that nobody took goes one tier ahead after 60 seconds",
        tellings=(told(0, 0, is_accepted=False),),
        now=1,
        expected=Action.ADVANCE,
        reason="no receiver accepted the page within 60 s",
    ),
    Case(
        why="it has its 60 seconds",
        tellings=(told(0, 0, is_accepted=False),),
        now=0.9,
        expected=Action.WAIT,
        due=1,
    ),
    Case(
        why="only once: a receiver that is down would else wake everybody within minutes",
        tellings=(told(0, 0, is_accepted=False), told(1, 1, is_accepted=False)),
        now=3,
        expected=Action.WAIT,
        due=60,
    ),
    Case(
        why="while no receiver at all answers it is our own network: the next tier would not hear either",
        tellings=(told(0, 0, is_accepted=False, is_network_up=False),),
        now=3,
        expected=Action.WAIT,
        due=15,
    ),
    Case(
        why="a post is not a page: where nothing pages nothing is skipped",
        tellings=(told(0, 0, is_page=False, is_accepted=False),),
        now=3,
        expected=Action.WAIT,
        due=15,
    ),
    Case(
        why="a P2 that somebody looks after stays with them",
        policy=P2,
        acknowledgement=acknowledged(3, until=483),
        now=15,
        expected=Action.HOLD,
        due=483,
        reason="acknowledged by ada",
    ),
    Case(
        why="when they let it lie for eight hours, the tier is told again",
        policy=P2,
        acknowledgement=acknowledged(3, until=483),
        state=EscalationState.HELD,
        now=483,
        expected=Action.REMIND,
    ),
    Case(
        why="and the next tier has its 15 minutes from then on, not from before the hold",
        policy=P2,
        tellings=(told(0, 0), told(0, 483, round=1)),
        acknowledgement=acknowledged(3, until=483),
        now=484,
        expected=Action.WAIT,
        due=498,
    ),
    Case(
        why="the end of a silence wakes nobody who has said that they look after a P1",
        state=EscalationState.QUIET,
        acknowledgement=acknowledged(3, until=33),
        now=20,
        expected=Action.WAIT,
        due=33,
        reason="nothing keeps it quiet any more; acknowledged by ada",
    ),
    Case(
        why="and the next tier has its 15 minutes from then on",
        state=EscalationState.QUIET,
        acknowledgement=acknowledged(3, until=33),
        now=16,
        expected=Action.WAIT,
        due=31,
    ),
    Case(
        why="an acknowledgement that expired in silence is told of at its end",
        state=EscalationState.QUIET,
        acknowledgement=acknowledged(3, until=33),
        now=60,
        expected=Action.REMIND,
    ),
    Case(
        why="a P2 has no reminders: its last tier has a post in its channel",
        policy=P2,
        tellings=(told(0, 0), told(1, 15)),
        now=600,
        expected=Action.WAIT,
    ),
    Case(
        why="a P3 has one tier, and an acknowledgement of it lasts",
        policy=P3,
        incident=None,
        acknowledgement=acknowledged(3, until=None),
        now=6000,
        expected=Action.HOLD,
    ),
    Case(why="a P3 without one waits for its end", policy=P3, incident=None, now=6000, expected=Action.WAIT),
    Case(
        why="after an outage of the broker tiers go in order, one at a time",
        now=70,
        expected=Action.ADVANCE,
        reason="not resolved within 15 minutes",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_the_next_step(case: Case) -> None:
    """What follows from the facts, why, and when to look again."""
    escalation = Escalation(
        episode_id="episode-1",
        alert_id="alert-1",
        policy=case.policy.id,
        incident=1,
        state=case.state,
        tier=case.tellings[-1].tier,
        round=case.tellings[-1].round,
        due_at=None,
        started_at=T,
        reason="",
    )
    facts = Facts(
        is_firing=case.is_firing,
        incident_state=case.incident,
        acknowledgement=case.acknowledgement,
        tellings=case.tellings,
    )
    decision = decide(case.policy, escalation, facts, at(case.now))
    assert decision.action is case.expected, decision.reason
    assert decision.due_at == (None if case.due is None else at(case.due))
    assert case.reason in decision.reason
