"""What faults of executions and sessions are called, what they mean, and what to do about them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from kokino.agents.model import Lock, Session
from kokino.executions.summary_store import Summary
from kokino.integrity.mends import LOOK_UP, RESTART
from kokino.integrity.model import Finding, Kind


def dangling(sessions: Sequence[Session], known: Collection[str], running: Collection[str]) -> list[Finding]:
    """Sessions that go on with a conversation that is not there, and that no execution uses now."""
    lost = [session for session in sessions if session.conversation_id not in known]
    return [
        Finding(
            kind=Kind.DANGLING_SESSION,
            message=f"the session of {session.agent_id} on {session.cli_type} goes on with the conversation"
            f" {session.conversation_id}, which is not there",
            mend=f"{session.agent_id} runs an execution: clean up when it is over"
            if session.agent_id in running
            else "cleanup forgets the session: the agent's next execution begins a fresh one",
            is_repairable=session.agent_id not in running,
            table="sessions",
            ids=[f"{session.agent_id}/{session.cli_type}"],
        )
        for session in lost
    ]


def unheld(running: Sequence[Summary], locks: Mapping[str, Lock]) -> list[Finding]:
    """Executions that run without their agent's lock: whoever would have ended them is gone."""
    lost = [one for one in running if _holder(locks.get(one.agent_id)) != one.execution_id]
    return [
        Finding(
            kind=Kind.EXECUTION_WITHOUT_END,
            message=f"the execution {one.execution_id} of {one.agent_id} runs, but does not hold the agent's"
            " lock: nobody will end it",
            mend=RESTART,
            is_repairable=False,
            table="executions",
            ids=[one.execution_id],
        )
        for one in lost
    ]


def timeless(execution_ids: Sequence[str], count: int) -> Iterator[Finding]:
    """Executions that are over at no time."""
    if count:
        yield Finding(
            kind=Kind.EXECUTION_WITHOUT_END,
            message="1 execution is over without the time of its end"
            if count == 1
            else f"{count:,} executions are over without the time of their end",
            mend=LOOK_UP,
            is_repairable=False,
            count=count,
            table="executions",
            ids=execution_ids,
        )


def _holder(lock: Lock | None) -> str | None:
    return None if lock is None else lock.execution_id
