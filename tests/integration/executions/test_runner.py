"""Executions as real processes under a real warden: deadlines in virtual time, and every kind of end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from kokino.agents import traffic_store
from kokino.agents.failures import FailureKind
from kokino.errors import Conflict, Invalid, NotFound, QueueFull, TooLarge, Unavailable
from kokino.executions import service, store
from kokino.executions.model import Execution, Record, State
from kokino.executions.output import store as record_store
from kokino.executions.queue import prompts
from kokino.executions.service import Executions
from kokino.testing.broker import TestBroker

#: Far longer than anything here takes, in real seconds.
PATIENCE = 60
HOUR = timedelta(hours=1)

TOML = """
[cli_types.quick]
driver = "scripted"
env = { KOKINO_SCRIPTED_HOME = "@/sessions", KOKINO_SCRIPTED_LOGIN = "@/login" }
[[agents]]
id = "writer"
cli_type = "quick"
cwd = "."
limits = { grace = "100ms", queue = 1 }
[[agents]]
id = "reviewer"
cli_type = "quick"
cwd = "."
"""


class Work:
    """A broker and what tests ask of its executions."""

    def __init__(self, box: TestBroker) -> None:
        self.box = box

    @property
    def executions(self) -> Executions:
        """The service under test."""
        return self.box.broker.services.executions

    async def begun(self, *directives: str, agent: str = "writer", shows: str = "", **more: Any) -> Execution:
        """An execution that runs, and whose output shows a text."""
        submitted = await self.executions.submit(agent, script(*directives), **more)
        await until(lambda: self.shows(submitted.execution_id, shows))
        return await self.executions.get(submitted.execution_id)

    async def shows(self, execution_id: str, text: str) -> bool:
        """True once its records hold the text."""
        return any(text in record.body for record in await self.records(execution_id))

    async def records(self, execution_id: str) -> Sequence[Record]:
        """All that it wrote."""
        return await self.executions.storage.read(
            lambda conn: record_store.after(conn, execution_id, 0, limit=1000)
        )

    async def ended(self, execution: Execution) -> Execution:
        """Its end."""
        async with asyncio.timeout(PATIENCE):
            return await self.executions.ended(execution.execution_id)

    async def ran(self, *directives: str, agent: str = "writer", **more: Any) -> Execution:
        """An execution from its acceptance to its end."""
        return await self.ended(await self.executions.submit(agent, script(*directives), **more))

    async def advanced_to_its_end(self, execution: Execution, **step: float) -> Execution:
        """Let virtual time pass until it has ended."""
        async with asyncio.timeout(PATIENCE):
            while not (found := await self.executions.get(execution.execution_id)).state.is_end:
                self.box.clock.advance(**step)
                await asyncio.sleep(0.01)
        return found

    def tree(self, execution: Execution) -> list[psutil.Process]:
        """The processes of a running execution, wherever they hid."""
        started = self.box.broker.services.warden.running[execution.execution_id]
        return psutil.Process(started.keeper_pid).children(recursive=True)


def script(*directives: str) -> str:
    """A prompt that tells the scripted agent what to do."""
    return "\n".join(["Work.", *(f"script: {one}" for one in directives)])


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return once `condition` holds."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():
            await asyncio.sleep(0.01)


@pytest.fixture
async def work(tmp_path: Path) -> AsyncIterator[Work]:
    """A broker with two agents whose login is good."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "login").touch()
    async with TestBroker(home, TOML.replace("@", str(home))) as box:
        yield Work(box)


async def test_what_an_agent_writes_is_recorded_in_order(work: Work) -> None:
    """Numbered from one, line by line, as it was written; the answer is the lines' text."""
    ended = await work.ran("stream 20 lines every 1ms")
    assert (ended.state, ended.exit_code) == (State.COMPLETED, 0)
    said = str(ended.content).splitlines()
    assert len(said) == 20
    records = await work.records(ended.execution_id)
    assert [record.number for record in records] == list(range(1, len(records) + 1))
    places = [next(n for n, record in enumerate(records) if f'"{line}"' in record.body) for line in said]
    assert places == sorted(places)


async def test_its_files_are_gone_when_it_has_ended(work: Work) -> None:
    """Prompt and output are in the database now, and nowhere else."""
    await work.ran("emit hi")
    assert list((work.box.home / "broker" / "spool").iterdir()) == []


@pytest.mark.parametrize(
    ("directive", "state", "kind"),
    [
        ("crash SIGSEGV", State.FAILED, FailureKind.CRASH),
        ("crash 3", State.FAILED, FailureKind.CRASH),
        ("no-result", State.FAILED, FailureKind.PROTOCOL),
        ("garbage; no-result", State.FAILED, FailureKind.PROTOCOL),
        ("emit hi; half-line", State.FAILED, FailureKind.PROTOCOL),
        ("fail auth", State.FAILED, FailureKind.AUTH),
        ("fail quota", State.FAILED, FailureKind.QUOTA),
        ("max-turns", State.FAILED, FailureKind.MAX_TURNS),
        ("garbage; invalid-utf8; emit hi", State.COMPLETED, None),
        ("long-line 2MB; emit hi", State.COMPLETED, None),
    ],
)
async def test_every_end_has_its_kind(
    work: Work, directive: str, state: State, kind: FailureKind | None
) -> None:
    """And garbage is no failure as long as the result comes."""
    ended = await work.ran(*directive.split("; "))
    assert (ended.state, ended.kind) == (state, kind)
    assert (ended.error is None) == (kind is None)


async def test_a_signal_that_ended_it_is_kept(work: Work) -> None:
    """For whoever looks for the reason."""
    ended = await work.ran("crash SIGSEGV")
    assert (ended.exit_code, ended.exit_signal) == (None, 11)


async def test_a_long_line_is_kept_in_part_with_its_length(work: Work) -> None:
    """64 k characters of it; nobody reads more."""
    ended = await work.ran("long-line 2MB", "emit hi")
    longest = max(await work.records(ended.execution_id), key=lambda record: record.size)
    assert longest.size > 2_000_000
    assert len(longest.body) == 64 * 1024


async def test_it_is_ended_at_its_wall_deadline(work: Work) -> None:
    """Counted from its start, however much it writes."""
    running = await work.begun("emit hi", "hang", shows="hi", timeout=timedelta(seconds=30))
    ended = await work.advanced_to_its_end(running, seconds=10)
    assert (ended.state, ended.kind) == (State.TIMEOUT, FailureKind.TIMEOUT)
    assert ended.content == "hi"
    assert ended.duration is not None
    assert ended.duration >= timedelta(seconds=30)


async def test_it_is_ended_after_too_long_a_silence(work: Work) -> None:
    """Long before its wall deadline."""
    running = await work.begun("emit hi", "hang", shows="hi", timeout=HOUR)
    ended = await work.advanced_to_its_end(running, seconds=60)
    assert (ended.state, ended.kind) == (State.TIMEOUT, FailureKind.IDLE_TIMEOUT)


async def test_a_silent_tool_is_no_sign_of_a_hang(work: Work) -> None:
    """While one is known to run, only the wall deadline counts."""
    running = await work.begun("tool sleep 600s", shows="tool_use", timeout=HOUR)
    for _ in range(5):
        work.box.clock.advance(minutes=3)
        await until(lambda: _is_followed(work))
    ended = await work.executions.cancel(running.execution_id)
    assert (ended.state, ended.kind) == (State.CANCELLED, FailureKind.CANCELLED)


async def _is_followed(work: Work) -> bool:
    """The deadlines of the moment have been looked at: somebody sleeps for a later one."""
    due = work.box.clock.next_wake()
    return due is not None and due > work.box.clock.now()


async def test_a_login_that_is_retried_to_the_deadline_is_a_login_problem(work: Work) -> None:
    """The records tell it long before the CLI gives up."""
    running = await work.begun(
        "retry auth 3 times every 1ms", "hang", shows="api_retry", timeout=timedelta(seconds=30)
    )
    ended = await work.advanced_to_its_end(running, seconds=10)
    assert (ended.state, ended.kind) == (State.TIMEOUT, FailureKind.AUTH)


async def test_who_lingers_after_the_last_word_has_completed(work: Work) -> None:
    """It is ended after its grace, and the signal is not held against it."""
    running = await work.begun("emit done", "linger 600s", shows='"result"')
    ended = await work.advanced_to_its_end(running, seconds=1)
    assert (ended.state, ended.kind, ended.content) == (State.COMPLETED, None, "done")


async def test_what_is_left_behind_ends_with_the_execution(work: Work) -> None:
    """A process without parent, session or environment of ours, which holds the output open."""
    running = await work.begun("double-fork 600s", "emit up", "hang", shows="up")
    tree = work.tree(running)
    assert len(tree) >= 2
    await work.executions.cancel(running.execution_id)
    assert [one for one in tree if one.is_running()] == []


async def test_a_cancel_returns_when_the_tree_is_gone(work: Work) -> None:
    """Also of one that ignores being asked; the agent is free then."""
    running = await work.begun("ignore SIGTERM", "emit up", "hang", shows="up")
    tree = work.tree(running)
    ended = await work.executions.cancel(running.execution_id)
    assert (ended.state, ended.kind, ended.exit_signal) == (State.CANCELLED, FailureKind.CANCELLED, 9)
    assert [one for one in tree if one.is_running()] == []
    assert (await work.ran("emit next")).state is State.COMPLETED


async def test_cancelling_again_changes_nothing(work: Work) -> None:
    """At the same time or afterwards: all hear of the same end."""
    running = await work.begun("emit up", "hang", shows="up")
    ids = [running.execution_id] * 3
    first, *others = await asyncio.gather(*(work.executions.cancel(one) for one in ids))
    assert others == [first, first]
    assert await work.executions.cancel(running.execution_id) == first


async def test_a_cancel_in_the_moment_of_the_start_is_not_lost(work: Work) -> None:
    """Whatever state it finds: queued, claimed, or running."""
    for turns in range(12):
        submitted = await work.executions.submit("reviewer", script("hang"))
        for _ in range(turns * 3):
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            ended = await work.executions.cancel(submitted.execution_id)
        assert ended.state is State.CANCELLED


async def test_a_queued_execution_is_cancelled_without_being_started(work: Work) -> None:
    """Who waits for it hears of it at once, and it has never run."""
    running = await work.begun("emit up", "hang", shows="up")
    queued = await work.executions.submit("writer", "later")
    waiting = asyncio.create_task(work.executions.ended(queued.execution_id))
    ended = await work.executions.cancel(queued.execution_id)
    assert (ended.state, ended.started_at, ended.error) == (
        State.CANCELLED,
        None,
        "cancelled before it started",
    )
    assert await waiting == ended
    await work.executions.cancel(running.execution_id)


async def test_a_full_queue_accepts_nothing_more(work: Work) -> None:
    """One runs and one waits, as its limit says; another agent's queue is its own."""
    running = await work.begun("emit up", "hang", shows="up")
    await work.executions.submit("writer", "later")
    with pytest.raises(QueueFull, match="1 executions wait for agent 'writer' already") as caught:
        await work.executions.submit("writer", "too much")
    assert caught.value.retry_after is not None
    assert (await work.ran("emit hi", agent="reviewer")).state is State.COMPLETED
    await work.executions.cancel(running.execution_id)


@pytest.mark.parametrize("prompt", ["", " \n\t", "a\x00b", "half \ud800 pair"])
async def test_a_prompt_that_says_nothing_or_is_no_text_is_refused(work: Work, prompt: str) -> None:
    """Before anything is written."""
    with pytest.raises(Invalid) as caught:
        await work.executions.submit("writer", prompt)
    assert [fault.field for fault in caught.value.faults] == ["prompt"]


async def test_a_prompt_over_the_longest_is_refused_by_its_bytes(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is just as long goes in."""
    monkeypatch.setattr(prompts, "LONGEST", 6)
    with pytest.raises(TooLarge, match="the prompt has 8 bytes, 6 is the most"):
        await work.executions.submit("writer", "åååå")
    assert (await work.ended(await work.executions.submit("writer", "ååå"))).state is State.COMPLETED


async def test_unknown_names_are_told(work: Work) -> None:
    """An agent, an execution."""
    with pytest.raises(NotFound, match="there is no agent 'nobody'"):
        await work.executions.submit("nobody", "hello")
    with pytest.raises(NotFound, match="there is no execution 'exec-0'"):
        await work.executions.ended("exec-0")
    with pytest.raises(NotFound, match="there is no agent 'nobody'"):
        await work.executions.cancel_running("nobody")


async def test_a_stopping_broker_accepts_nothing_and_says_when_to_come_back(work: Work) -> None:
    """What it has accepted goes on."""
    work.executions.close()
    with pytest.raises(Unavailable, match="the broker is stopping") as caught:
        await work.executions.submit("writer", "hello")
    assert caught.value.retry_after == timedelta(seconds=5)


async def test_turns_of_one_session_resume_it_until_it_is_ended(work: Work) -> None:
    """The next one after that begins anew."""
    first = await work.ran("emit one")
    second = await work.ran("emit two")
    assert (first.is_resume, second.is_resume) == (False, True)
    assert (second.session_id, second.conversation_id) == (first.session_id, first.conversation_id)
    assert await work.executions.end_session("writer") == (None, 1)
    third = await work.ran("emit three")
    assert third.is_resume is False
    assert third.session_id != first.session_id


async def test_ending_a_session_cancels_what_runs_in_it(work: Work) -> None:
    """And leaves nothing to resume."""
    running = await work.begun("emit up", "hang", shows="up")
    cancelled, forgotten = await work.executions.end_session("writer")
    assert cancelled is not None
    assert (cancelled.execution_id, cancelled.state) == (running.execution_id, State.CANCELLED)
    assert (await work.ran("emit hi")).is_resume is False
    assert forgotten == 1


async def test_what_waits_behind_an_ended_session_starts_in_a_fresh_one(work: Work) -> None:
    """A broken session must not get one more prompt by being ended."""
    running = await work.begun("emit up", "hang", shows="up")
    waiting = await work.executions.submit("writer", script("emit hi"))
    await work.executions.end_session("writer")
    following = await work.executions.ended(waiting.execution_id)
    assert following.state is State.COMPLETED
    assert following.is_resume is False
    assert following.session_id != running.session_id


async def test_a_removed_agent_leaves_no_execution_without_an_end(work: Work) -> None:
    """Neither the one that runs nor the one that waits."""
    running = await work.begun("emit up", "hang", shows="up")
    queued = await work.executions.submit("writer", "later")
    await work.executions.forget_agent("writer")
    for one in (running, queued):
        assert (await work.executions.get(one.execution_id)).state is State.CANCELLED
    with pytest.raises(NotFound):
        await work.executions.submit("writer", "hello")


async def test_a_stream_gives_every_record_as_it_comes_and_at_last_the_end(work: Work) -> None:
    """From any number on, for those who were cut off."""
    running = await work.begun("emit up", "hang", shows="up")
    seen: list[Record] = []
    last: Execution | None = None
    async with asyncio.timeout(PATIENCE):
        async for one in work.executions.records(running.execution_id):
            if isinstance(one, Record):
                seen.append(one)
                if "up" in one.body:
                    cancelling = asyncio.create_task(work.executions.cancel(running.execution_id))
            elif one is not None:
                last = one
    assert last == await cancelling
    assert seen == list(await work.records(running.execution_id))
    rest = [one async for one in work.executions.records(running.execution_id, after=seen[-1].number)]
    assert rest == [last]


async def test_a_silent_stream_says_that_it_is_alive(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies cut what says nothing."""
    monkeypatch.setattr(service, "HEARTBEAT", 0.01)
    running = await work.begun("emit up", "hang", shows="up")
    async with asyncio.timeout(PATIENCE):
        async for one in work.executions.records(running.execution_id, after=1000):
            assert one is None
            break
    await work.executions.cancel(running.execution_id)


async def probes(work: Work) -> tuple[int, str | None]:
    """Good probes in a row, and how the last one ended."""
    fallback = (await work.executions.storage.read(traffic_store.disabled))["quick"]
    return fallback.probes_good, fallback.probe_last_outcome


async def test_a_disabled_cli_type_is_asked_every_minute_whether_it_works(work: Work) -> None:
    """Good answers in a row are counted, a bad one begins anew; users' executions are not among them."""
    services = work.box.broker.services
    (work.box.home / "login").unlink()
    await services.agents.disable("quick", reason="logins fail", target="scripted", by="ada", vouch=print)
    await work.box.fast_forward(seconds=59)
    assert await probes(work) == (0, None)
    await work.box.fast_forward(seconds=1)
    assert await probes(work) == (0, "auth")
    (work.box.home / "login").touch()
    await work.box.fast_forward(minutes=2)
    assert await probes(work) == (2, "completed")
    (work.box.home / "login").unlink()
    await work.box.fast_forward(minutes=1)
    assert await probes(work) == (0, "auth")
    found = await work.executions.storage.read(
        lambda conn: store.page(conn, agent_id=None, state=None, before=None, limit=10)
    )
    assert {one.label for one in found} == {"probe"}
    assert {one.is_resume for one in found} == {False}


async def test_an_enabled_cli_type_is_not_probed(work: Work) -> None:
    """Its own executions tell how it is; a disabled one has one probe at a time."""
    services = work.box.broker.services
    with pytest.raises(Invalid, match="'quick' is enabled"):
        await services.probes.probe("quick")
    with pytest.raises(NotFound, match="there is no CLI type 'slow'"):
        await services.probes.probe("slow")
    await services.agents.disable("quick", reason="x", target="scripted", by="ada", vouch=print)
    first = await services.probes.probe("quick")
    with pytest.raises(Conflict, match="runs already"):
        await services.probes.probe("quick")
    assert (await work.ended(first)).state is State.COMPLETED
