"""Where the next execution runs: a table of cases, each with the reason why it is there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kokino.agents.breaker import Circuit, CircuitState, in_tmux
from kokino.agents.failures import FailureKind
from kokino.agents.model import Agent, CliType, Fallback, Mode, Pause, Scope, account_of
from kokino.agents.routing import Traffic, Way, route

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
CLI_TYPES = {
    name: CliType(name=name, driver="scripted", command=("x",)) for name in ("claude", "codex", "qwen")
}


def agent(fallback: str | None = None, account: str = "claude:~") -> Agent:
    """An agent on claude."""
    return Agent(
        agent_id="writer",
        cli_type="claude",
        cwd=Path("/work"),
        fallback=fallback,
        account=account,
        pool="gpu",
        registered_at=NOW,
    )


def disabled(name: str, target: str | None = None) -> Fallback:
    """A CLI type that is disabled."""
    return Fallback(cli_type=name, reason="logins fail", since=NOW, target=target, set_by="ada")


def forced(target: str | None = None) -> Fallback:
    """The writer, sent elsewhere by name."""
    said = disabled("claude", target)
    return replace(said, agent_id="writer", reason="it fails")


def paused(scope: Scope, scope_id: str = "", *, ends_in: int | None = None) -> Pause:
    """A pause, with an end in so many seconds or without one."""
    ends_at = None if ends_in is None else NOW + timedelta(seconds=ends_in)
    return Pause(scope=scope, scope_id=scope_id, reason="upgrade", since=NOW, set_by="ada", ends_at=ends_at)


def circuit(cli_type: str = "claude", *, retry_in: int = 30, trial_id: str | None = None) -> Circuit:
    """The writer's circuit after five failures; from `retry_in` seconds on it lets a trial through."""
    return Circuit(
        agent_id="writer",
        cli_type=cli_type,
        state=CircuitState.HALF_OPEN if trial_id else CircuitState.OPEN,
        failures=5,
        opened_at=NOW - timedelta(seconds=30),
        retry_at=NOW + timedelta(seconds=retry_in),
        trial_id=trial_id,
    )


def traffic(
    fallbacks: Iterable[Fallback] = (), pauses: Iterable[Pause] = (), circuits: Iterable[Circuit] = ()
) -> Traffic:
    """What is in the way now."""
    return Traffic(
        at=NOW,
        cli_types=CLI_TYPES,
        fallbacks={one.cli_type: one for one in fallbacks},
        pauses=tuple(pauses),
        circuits={(one.agent_id, one.cli_type): one for one in circuits},
    )


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is disabled and paused, and what becomes of the agent's next execution."""

    why: str
    agent: Agent = field(default_factory=agent)
    fallbacks: tuple[Fallback, ...] = ()
    pauses: tuple[Pause, ...] = ()
    circuits: tuple[Circuit, ...] = ()
    #: For a prompt that comes now.
    ahead: int | None = None
    is_probe: bool = False
    way: Way = Way.RUN
    cli_type: str = "claude"
    #: Seconds until it may run, where it is known.
    until: int | None = None
    is_trial: bool = False
    mode: Mode = Mode.HEADLESS
    forced: tuple[Fallback, ...] = ()
    #: Why there are no terminals.
    no_terminal: str | None = None
    #: In a terminal only its screen tells what the CLI does.
    is_guessed: bool = False
    says: str


CASES = [
    Case(why="nothing is in its way", says="its own CLI type"),
    Case(why="another CLI type's trouble is none of its own", fallbacks=(disabled("codex"),), says="its own"),
    Case(
        why="where nobody says otherwise its agents are worked in tmux",
        fallbacks=(disabled("claude"),),
        mode=Mode.TMUX,
        says="CLI type 'claude' is disabled (logins fail); worked in tmux",
    ),
    Case(
        why="a disabled CLI type without a way around is a refusal, not a wait: callers must hear of it",
        fallbacks=(disabled("claude"),),
        no_terminal="there is no tmux",
        way=Way.REFUSE,
        says="(logins fail) and agent 'writer' has no fallback: there is no tmux; enable it, or set one",
    ),
    Case(
        why="by default no prompt is typed at a screen that nobody can read",
        fallbacks=(disabled("claude"),),
        is_guessed=True,
        way=Way.REFUSE,
        says="only the screen tells what 'claude' does, so it is worked there where somebody names it",
    ),
    Case(
        why="an agent of the mode tmux that stands on such a CLI meanwhile is headless there",
        agent=replace(agent(fallback="codex"), mode=Mode.TMUX),
        fallbacks=(disabled("claude"),),
        is_guessed=True,
        cli_type="codex",
        says="moved to 'codex'",
    ),
    Case(
        why="who names tmux for such a CLI gets it",
        agent=agent(fallback="tmux"),
        fallbacks=(disabled("claude"),),
        is_guessed=True,
        mode=Mode.TMUX,
        says="worked in tmux",
    ),
    Case(
        why="so does who names it where the CLI type is disabled",
        fallbacks=(disabled("claude", "tmux"),),
        is_guessed=True,
        mode=Mode.TMUX,
        says="worked in tmux",
    ),
    Case(
        why="one that is worked in tmux anyway goes on there: what is disabled is the headless form",
        agent=replace(agent(), mode=Mode.TMUX),
        fallbacks=(disabled("claude"),),
        mode=Mode.TMUX,
        says="its own CLI type",
    ),
    Case(
        why="without tmux an agent of that mode does not run",
        agent=replace(agent(), mode=Mode.TMUX),
        no_terminal="there is no tmux",
        mode=Mode.TMUX,
        way=Way.REFUSE,
        says="agent 'writer' runs in tmux, and there is no tmux",
    ),
    Case(
        why="of the mode shadow the caller's side runs in tmux",
        agent=replace(agent(), mode=Mode.SHADOW),
        mode=Mode.TMUX,
        says="its own CLI type",
    ),
    Case(
        why="without tmux there is no answer to compare with",
        agent=replace(agent(), mode=Mode.SHADOW),
        no_terminal="there is no tmux",
        mode=Mode.TMUX,
        way=Way.REFUSE,
        says="agent 'writer' runs in tmux, and there is no tmux",
    ),
    Case(
        why="tmux shares the login: an account that is parked is parked there, too",
        fallbacks=(disabled("claude"),),
        pauses=(paused(Scope.ACCOUNT, "claude:~"),),
        mode=Mode.TMUX,
        way=Way.WAIT,
        says="its login is needed in tmux, too: account 'claude:~' is paused",
    ),
    Case(
        why="an agent that is sent elsewhere by name goes there, while its CLI type is well",
        forced=(forced(),),
        mode=Mode.TMUX,
        says="agent 'writer' is sent elsewhere (it fails); worked in tmux",
    ),
    Case(
        why="what is said of one agent goes before what is said of all, and before its own wish",
        agent=agent("park"),
        forced=(forced("codex"),),
        fallbacks=(disabled("claude", "qwen"),),
        cli_type="codex",
        says="moved to 'codex'",
    ),
    Case(
        why="the open circuit that sent an agent to tmux does not hold it there",
        forced=(forced(),),
        circuits=(circuit(),),
        mode=Mode.TMUX,
        says="worked in tmux",
    ),
    Case(
        why="a probe asks the agent's own way, headless",
        agent=replace(agent(), mode=Mode.TMUX),
        forced=(forced(),),
        is_probe=True,
        says="its own CLI type",
    ),
    Case(
        why="who disabled it said where its agents go",
        fallbacks=(disabled("claude", "codex"),),
        cli_type="codex",
        says="moved to 'codex'",
    ),
    Case(
        why="the agent's own fallback goes before the general one",
        agent=agent("qwen"),
        fallbacks=(disabled("claude", "codex"),),
        cli_type="qwen",
        says="moved to 'qwen'",
    ),
    Case(
        why="an agent that parks waits, whatever others do",
        agent=agent("park"),
        fallbacks=(disabled("claude", "codex"),),
        way=Way.WAIT,
        says="the agent waits for it",
    ),
    Case(
        why="a disabled fallback is no way",
        agent=agent("qwen"),
        fallbacks=(disabled("claude", "codex"), disabled("qwen")),
        way=Way.REFUSE,
        says="and its fallback 'qwen' is disabled, too",
    ),
    Case(
        why="an agent that falls back to its own CLI type has no way either",
        agent=agent("claude"),
        fallbacks=(disabled("claude"),),
        way=Way.REFUSE,
        says="and its fallback 'claude' is disabled, too",
    ),
    Case(
        why="a fallback may have been removed from the file since the agent was registered",
        agent=agent("gone"),
        fallbacks=(disabled("claude"),),
        way=Way.REFUSE,
        says="its fallback 'gone' is no CLI type here",
    ),
    Case(
        why="everything is paused",
        pauses=(paused(Scope.ALL),),
        way=Way.WAIT,
        says="everything is paused (upgrade)",
    ),
    Case(
        why="its pool is paused",
        pauses=(paused(Scope.POOL, "gpu"),),
        way=Way.WAIT,
        says="pool 'gpu' is paused",
    ),
    Case(
        why="it is paused itself",
        pauses=(paused(Scope.AGENT, "writer"),),
        way=Way.WAIT,
        says="agent 'writer' is paused",
    ),
    Case(
        why="its account is paused",
        pauses=(paused(Scope.ACCOUNT, "claude:~"),),
        way=Way.WAIT,
        says="account 'claude:~' is paused",
    ),
    Case(
        why="a pause with an end is told with it",
        pauses=(paused(Scope.ACCOUNT, "claude:~", ends_in=90),),
        way=Way.WAIT,
        until=90,
        says="account 'claude:~' is paused until 2026-01-05T09:01:30.000Z (upgrade)",
    ),
    Case(
        why="a pause that has ended holds nobody, whether or not somebody has lifted it yet",
        pauses=(paused(Scope.ACCOUNT, "claude:~", ends_in=0), paused(Scope.ALL, ends_in=-5)),
        says="its own",
    ),
    Case(
        why="ids of one scope say nothing in another",
        agent=agent(account="gpu"),
        pauses=(paused(Scope.AGENT, "gpu"), paused(Scope.POOL, "writer"), paused(Scope.ACCOUNT, "writer")),
        says="its own",
    ),
    Case(
        why="a paused account does not hold an agent that runs on another CLI type meanwhile",
        fallbacks=(disabled("claude", "codex"),),
        pauses=(paused(Scope.ACCOUNT, "claude:~"),),
        cli_type="codex",
        says="moved to 'codex'",
    ),
    Case(
        why="the fallback's account may be paused too: then there is something to wait for",
        fallbacks=(disabled("claude", "codex"),),
        pauses=(paused(Scope.ACCOUNT, "codex:~"),),
        way=Way.WAIT,
        says="its fallback 'codex': account 'codex:~' is paused",
    ),
    Case(
        why="a pause of the agent holds it wherever it would run",
        fallbacks=(disabled("claude", "codex"),),
        pauses=(paused(Scope.AGENT, "writer"),),
        way=Way.WAIT,
        says="agent 'writer' is paused",
    ),
    Case(
        why="a probe asks the disabled CLI type itself: nobody else can tell whether it works again",
        fallbacks=(disabled("claude", "codex"),),
        pauses=(paused(Scope.ACCOUNT, "claude:~"),),
        is_probe=True,
        says="its own CLI type",
    ),
    Case(
        why="what was accepted before its circuit opened is kept until one may try",
        circuits=(circuit(),),
        way=Way.WAIT,
        until=30,
        says="the next try is at 2026-01-05T09:00:30.000Z",
    ),
    Case(
        why="a new prompt's caller hears at once that it cannot run",
        circuits=(circuit(),),
        ahead=0,
        way=Way.REFUSE,
        until=30,
        says="has failed 5 times in a row on 'claude'",
    ),
    Case(why="then one may try", circuits=(circuit(retry_in=0),), is_trial=True, says="its own CLI type"),
    Case(
        why="a new prompt may try too",
        circuits=(circuit(retry_in=0),),
        ahead=0,
        is_trial=True,
        says="its own CLI type",
    ),
    Case(
        why="a new prompt does not overtake one that waits to try",
        circuits=(circuit(retry_in=0),),
        ahead=1,
        way=Way.REFUSE,
        says="waits already",
    ),
    Case(
        why="one tries already: nobody knows how long that takes",
        circuits=(circuit(retry_in=-5, trial_id="exec-9"),),
        way=Way.WAIT,
        says="exec-9 tries now",
    ),
    Case(
        why="while one tries, new prompts are refused",
        circuits=(circuit(retry_in=-5, trial_id="exec-9"),),
        ahead=0,
        way=Way.REFUSE,
        says="exec-9 tries now",
    ),
    Case(
        why="in tmux, round what is disabled, an agent is held by its failures there",
        fallbacks=(disabled("claude", "tmux"),),
        circuits=(circuit(in_tmux("claude")),),
        ahead=0,
        way=Way.REFUSE,
        mode=Mode.TMUX,
        until=30,
        says="has failed 5 times in a row on 'claude@tmux'",
    ),
    Case(
        why="what failed in tmux says nothing of an agent's own way",
        circuits=(circuit(in_tmux("claude")),),
        says="its own CLI type",
    ),
    Case(
        why="an agent that was moved is not held by the circuit of the CLI type that broke",
        fallbacks=(disabled("claude", "codex"),),
        circuits=(circuit(),),
        cli_type="codex",
        says="moved to 'codex'",
    ),
    Case(
        why="but by the one of the CLI type that it was moved to",
        fallbacks=(disabled("claude", "codex"),),
        circuits=(circuit("codex"),),
        ahead=0,
        way=Way.REFUSE,
        cli_type="codex",
        until=30,
        says="in a row on 'codex'",
    ),
    Case(
        why="a pause goes before: whoever set it wants waiting, not refusing",
        pauses=(paused(Scope.AGENT, "writer"),),
        circuits=(circuit(),),
        ahead=0,
        way=Way.WAIT,
        says="is paused",
    ),
    Case(
        why="a probe is held by no circuit",
        circuits=(circuit(),),
        is_probe=True,
        says="its own CLI type",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_the_way_of_the_next_execution(case: Case) -> None:
    """The way, what it runs on, and a reason that a person can act on."""
    known = {
        name: replace(one, no_terminal=case.no_terminal, is_guessed_in_terminal=case.is_guessed)
        for name, one in CLI_TYPES.items()
    }
    present = replace(
        traffic(case.fallbacks, case.pauses, case.circuits),
        cli_types=known,
        forced={str(one.agent_id): one for one in case.forced},
    )
    found = route(case.agent, present, is_probe=case.is_probe, ahead=case.ahead)
    assert (found.way, found.cli_type, found.trial_of is not None) == (case.way, case.cli_type, case.is_trial)
    assert found.until == (None if case.until is None else NOW + timedelta(seconds=case.until))
    assert found.mode is case.mode
    assert case.says in found.reason


def test_a_moved_execution_uses_the_other_cli_types_account() -> None:
    """The agent's own login and HOME mean nothing there."""
    found = route(agent(account="team"), traffic([disabled("claude", "codex")]))
    assert (found.account, found.moved_from) == ("codex:~", "claude")
    assert found.account == account_of(CLI_TYPES["codex"], {})


def test_failures_of_others_do_not_count_for_the_breaker() -> None:
    """Quota, rate limit, waiting, cancelling, refusing and losing are not the agent's fault."""
    spared = {kind.value for kind in FailureKind if not kind.counts_for_breaker}
    assert spared == {"quota", "rate_limit", "lock_timeout", "cancelled", "refused", "lost"}
