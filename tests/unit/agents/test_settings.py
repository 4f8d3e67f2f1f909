"""``[cli_types]`` and ``[[agents]]``: what they become, and all that can be wrong with them at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kokino.agents.drivers.registry import DRIVERS, driver_named
from kokino.agents.model import Agent, CliType, Limits, Mode, Source
from kokino.agents.settings import read_agents, read_cli_types, with_terminals
from kokino.config import FILE_NAME, Faults, load

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
#: The CLI types there are once the faulty file is read: every driver's, and those that it names.
KNOWN = ", ".join(
    sorted({"codex", "gemini", *(name for name, driver in DRIVERS.items() if driver.default_command)})
)
Read = Callable[[str], tuple[dict[str, CliType], list[Agent], list[tuple[int | None, str, str]]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """CLI types, agents, and the faults as (line, field, message) of a file's text."""

    def of(text: str) -> tuple[dict[str, CliType], list[Agent], list[tuple[int | None, str, str]]]:
        (tmp_path / FILE_NAME).write_text(text, encoding="utf-8")
        config, faults = load(tmp_path), Faults()
        cli_types = read_cli_types(config, faults)
        agents = read_agents(config, cli_types, faults, now=NOW)
        return cli_types, agents, [(fault.line, fault.field, fault.message) for fault in faults.found]

    return of


def test_every_driver_is_a_cli_type_without_any_file(read: Read) -> None:
    """Under its own name, with its own command."""
    cli_types, agents, faults = read("")
    assert {"claude-code", "scripted"} <= set(cli_types)
    assert cli_types["claude-code"].command == ("claude",)
    assert (agents, faults) == ([], [])


def test_a_cli_type_is_another_way_to_run_a_driver(read: Read) -> None:
    """Its command, flags and environment are its own; what is left out is the driver's."""
    cli_types, _, faults = read(
        '[cli_types.codex]\ndriver = "scripted"\nflags = ["-x"]\nenv = { A = "1" }\n'
        '[cli_types.claude-code]\ncommand = ["/opt/claude", "--debug"]\n'
    )
    assert faults == []
    assert cli_types["codex"] == CliType(
        name="codex",
        driver="scripted",
        command=driver_named("scripted").default_command,
        flags=("-x",),
        env={"A": "1"},
    )
    assert cli_types["claude-code"].command == ("/opt/claude", "--debug")


def test_the_short_name_of_a_cli_stands_for_the_real_one(read: Read) -> None:
    """As a table, as a driver, and wherever an agent names a CLI type."""
    cli_types, agents, faults = read(
        '[cli_types.droid]\ncommand = ["/opt/droid"]\n[cli_types.mine]\ndriver = "droid"\n'
        '[[agents]]\nid = "a"\ncli_type = "droid"\nfallback = "mine"\ncwd = "."\n'
        '[[agents]]\nid = "b"\ncli_type = "mine"\nfallback = "droid"\ncwd = "."\n'
    )
    assert faults == []
    assert "droid" not in cli_types
    assert cli_types["factory-droid"].command == ("/opt/droid",)
    assert cli_types["mine"].driver == "factory-droid"
    assert [(agent.cli_type, agent.fallback) for agent in agents] == [
        ("factory-droid", "mine"),
        ("mine", "factory-droid"),
    ]


def test_a_cli_type_is_described_under_one_of_its_names_only(read: Read) -> None:
    """Else one of the two tables would be passed over in silence."""
    _, _, faults = read("[cli_types.droid]\n[cli_types.factory-droid]\n")
    assert [said for _, _, said in faults] == [
        "'droid' is another name of 'factory-droid', which has a table already"
    ]


def test_a_driver_of_many_clis_has_no_command_by_default(read: Read) -> None:
    """There is no CLI type ``acp`` until somebody says which agent is meant."""
    cli_types, _, faults = read(
        '[cli_types.goose]\ndriver = "acp"\n[cli_types.acp]\ncommand = ["x", "acp"]\n'
    )
    assert [(line, field) for line, field, _ in faults] == [(1, "cli_types.goose.command")]
    assert faults[0][2].startswith("must be given for the driver 'acp'")
    assert cli_types["acp"] == CliType(name="acp", driver="acp", command=("x", "acp"))
    assert "acp" not in read("")[0]


def test_an_agent_with_only_what_it_needs_has_the_defaults(read: Read, tmp_path: Path) -> None:
    """300 s, 120 s, 5 s, 100 that wait, 5 min."""
    _, agents, _ = read('[[agents]]\nid = "writer"\ncli_type = "claude-code"\ncwd = "."\n')
    assert agents == [
        Agent(
            agent_id="writer",
            cli_type="claude-code",
            cwd=tmp_path,
            mode=Mode.HEADLESS,
            limits=Limits(
                timeout=timedelta(seconds=300),
                idle=timedelta(seconds=120),
                grace=timedelta(seconds=5),
                queue=100,
                queue_timeout=timedelta(minutes=5),
            ),
            account="claude-code:~",
            source=Source.CONFIG,
            registered_at=NOW,
        )
    ]


def test_an_agent_may_say_everything_for_itself(read: Read) -> None:
    """And an absolute folder stays where it is."""
    _, [agent], faults = read("""
[[agents]]
id = "writer"
cli_type = "scripted"
cwd = "/srv/work"
model = "opus"
flags = ["--x"]
env = { HOME = "/home/ada" }
fallback = "park"
pool = "gpu"
limits = { timeout = "10m", queue = 0 }
""")
    assert faults == []
    assert (agent.cwd, agent.model, agent.flags) == (Path("/srv/work"), "opus", ("--x",))
    assert (agent.fallback, agent.pool, agent.account) == ("park", "gpu", "scripted:/home/ada")
    assert (agent.limits.timeout, agent.limits.queue) == (timedelta(minutes=10), 0)
    assert agent.limits.idle == Limits().idle


def test_the_account_follows_the_home_unless_it_is_named(read: Read) -> None:
    """The CLI type's HOME is its agents' unless they have their own."""
    _, agents, _ = read("""
[cli_types.codex]
driver = "scripted"
env = { HOME = "/shared" }
[[agents]]
id = "a"
cli_type = "codex"
cwd = "."
[[agents]]
id = "b"
cli_type = "codex"
cwd = "."
env = { HOME = "/own" }
[[agents]]
id = "c"
cli_type = "codex"
cwd = "."
account = "team"
""")
    assert [agent.account for agent in agents] == ["codex:/shared", "codex:/own", "team"]


FAULTY = """\
[cli_types."a/b"]
driver = "scripted"
[cli_types.codex]
driver = "codecs"
[cli_types.gemini]
command = []
[[agents]]
id = "logs"
cli_type = "scripted"
cwd = "."
[[agents]]
id = "writer"
cli_type = "claud"
cwd = "~nobody-of-this-name/work"
mode = "telepathy"
flgs = []
[agents.limits]
timeout = "0s"
queue = -1
[[agents]]
id = "good"
cli_type = "scripted"
cwd = "."
[[agents]]
id = "good"
cli_type = "claud"
cwd = "."
fallback = "nowhere"
"""


def test_all_faults_are_told_at_once_each_at_its_line(read: Read) -> None:
    """One start, one list; what is good of it is read all the same."""
    _, agents, faults = read(FAULTY)
    assert [agent.agent_id for agent in agents] == ["good"]
    assert [(line, field) for line, field, _ in faults] == [
        (1, "cli_types.a/b"),
        (4, "cli_types.codex.driver"),
        (6, "cli_types.gemini.command"),
        (8, "agents[0].id"),
        (14, "agents[1].cwd"),
        (15, "agents[1].mode"),
        (18, "agents[1].limits.timeout"),
        (19, "agents[1].limits.queue"),
        (16, "agents[1].flgs"),
        (13, "agents[1].cli_type"),
        (25, "agents[3].id"),
        (26, "agents[3].cli_type"),
        (28, "agents[3].fallback"),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (4, f"there is no driver 'codecs'; known: {', '.join(sorted(DRIVERS))}"),
        (8, "'logs' is a reserved word; choose another id"),
        (16, "is no setting here; did you mean 'flags'?"),
        (18, "must be longer than 0"),
        (25, "'good' is the id of an earlier agent"),
        (26, f"there is no CLI type 'claud'; known: {KNOWN}"),
        (28, f"'nowhere' is neither tmux, park nor a CLI type; known: {KNOWN}"),
    ],
)
def test_a_fault_says_what_would_be_right(read: Read, line: int, said: str) -> None:
    """The words to choose from, where there are any."""
    _, _, faults = read(FAULTY)
    assert [message for number, _, message in faults if number == line] == [said]


def test_limits_are_the_same_after_they_were_stored() -> None:
    """In milliseconds, as the API shows them."""
    limits = Limits(timeout=timedelta(milliseconds=1500), queue=3)
    assert Limits.from_document(limits.to_document()) == limits
    assert limits.to_document()["timeoutMs"] == 1500


def test_an_agents_own_cli_type_is_no_fallback(read: Read) -> None:
    """An alias is the same one: its prompts would be refused when they are to go elsewhere."""
    _, _, faults = read('[[agents]]\nid = "a"\ncli_type = "factory-droid"\ncwd = "."\nfallback = "droid"\n')
    assert faults == [
        (5, "agents[0].fallback", "'droid' is its own CLI type; name tmux, park or another one")
    ]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('tiemout = "5s"', "timeout"),
        ("memory = 4", "memory_mb"),
        ("queueTimeoutMs = 3", "queue_timeout"),
        ("memoryMb = 64", "memory_mb"),
        ("idleMs = 64", "idle"),
        ("spendUsd = 1", "spend_usd"),
    ],
)
def test_a_wrong_key_of_limits_is_told_the_nearest_of_limits(read: Read, written: str, meant: str) -> None:
    """Not of the table around it; what the API calls it leads to what the file calls it."""
    _, _, faults = read(
        f'[[agents]]\nid = "a"\ncli_type = "scripted"\ncwd = "."\n[agents.limits]\n{written}\n'
    )
    key = written.partition(" ")[0]
    assert faults == [(6, f"agents[0].limits.{key}", f"is no setting here; did you mean '{meant}'?")]


def test_a_key_of_limits_that_is_near_none_is_told_all_of_limits(read: Read) -> None:
    """And none of an agent's own."""
    _, _, [(_, _, said)] = read(
        '[[agents]]\nid = "a"\ncli_type = "scripted"\ncwd = "."\nlimits = { zzz = 1 }\n'
    )
    assert said.startswith("is no setting here; known: grace, idle, memory_mb, ")
    assert "account" not in said


@pytest.mark.parametrize(("written", "meant"), [("agentId", "id"), ("cliType", "cli_type")])
def test_the_apis_names_of_an_agent_lead_to_the_files(read: Read, written: str, meant: str) -> None:
    """Whoever has registered agents over HTTP writes them so."""
    _, _, faults = read(f'[[agents]]\n{written} = "scripted"\n')
    assert (2, f"agents[0].{written}", f"is no setting here; did you mean '{meant}'?") in faults


@pytest.mark.parametrize(
    ("written", "field", "said"),
    [
        ("netwrok = 1", "retries.netwrok", "is no kind of failure; did you mean 'network'?"),
        ("zzz = 1", "retries.zzz", "is no kind of failure; known: auth, cli_missing, "),
        ("refused = 1", "retries.refused", "is never tried again, whatever is configured; known: auth, "),
        ('network = "2"', "retries.network", "must be a number, without quotes"),
        ("network = true", "retries.network", "must be a number, without quotes"),
        ("network = 11", "retries.network", "must be less than or equal to 10"),
    ],
)
def test_what_is_wrong_in_retries_is_told(read: Read, written: str, field: str, said: str) -> None:
    """The kinds that it offers are those that are tried again."""
    _, _, [(line, place, message)] = read(
        f'[[agents]]\nid = "a"\ncli_type = "scripted"\ncwd = "."\nretries = {{ {written} }}\n'
    )
    assert (line, place) == (5, f"agents[0].{field}")
    assert message.startswith(said)
    assert "cancelled" not in message


def test_a_text_or_a_table_in_the_wrong_place_is_told(read: Read) -> None:
    """A number in quotes is refused everywhere, not only where it happens to be no number."""
    _, _, faults = read(
        '[[agents]]\nid = "a"\ncli_type = "scripted"\ncwd = "."\n'
        'limits = { memory_mb = "64", spend_usd = "1" }\n'
        'env = "A=1"\n'
    )
    assert {field: message for _, field, message in faults} == {
        "agents[0].env": "must be a table",
        "agents[0].limits.memory_mb": "must be a number, without quotes",
        "agents[0].limits.spend_usd": "must be a number, without quotes",
    }


SHADOW = '[[agents]]\nid = "a"\ncli_type = "{cli_type}"\ncwd = "."\nmode = "shadow"\n{more}'


def test_shadow_mode_says_how_much_is_compared_and_how_strictly(read: Read) -> None:
    """All of it, and 95 % alike, unless said."""
    _, (default,), _ = read(SHADOW.format(cli_type="scripted", more=""))
    assert (default.mode, default.shadow_sample, default.shadow_threshold) == (Mode.SHADOW, 1.0, 0.95)
    more = "shadow_sample = 0.25\nshadow_threshold = 0.8\n"
    _, (own,), _ = read(SHADOW.format(cli_type="scripted", more=more))
    assert (own.shadow_sample, own.shadow_threshold) == (0.25, 0.8)
    _, _, faults = read(SHADOW.format(cli_type="scripted", more="shadow_sample = 25\n"))
    assert [(line, field) for line, field, _ in faults] == [(6, "agents[0].shadow_sample")]


def test_shadow_mode_is_refused_where_nothing_could_be_compared(read: Read, tmp_path: Path) -> None:
    """A CLI without a form for terminals, and a machine without tmux, each with its reason."""
    agent = '[cli_types.spoken]\ndriver = "acp"\ncommand = ["x"]\n' + SHADOW.format(
        cli_type="spoken", more=""
    )
    _, _, faults = read(agent)
    assert faults == [
        (8, "agents[0].mode", "CLI type 'spoken' has no form for a terminal, only the mode headless")
    ]
    (tmp_path / FILE_NAME).write_text(SHADOW.format(cli_type="scripted", more=""), encoding="utf-8")
    config, found = load(tmp_path), Faults()
    cli_types = with_terminals(read_cli_types(config, found), {"PATH": str(tmp_path)})
    assert read_agents(config, cli_types, found, now=NOW) == []
    (fault,) = found.found
    assert fault.field == "agents[0].mode"
    assert fault.message.startswith("shadow compares headless with tmux, and ")


@pytest.mark.parametrize(("driver", "is_guessed"), [("gemini", True), ("claude-code", False), ("acp", False)])
def test_it_is_known_whose_work_in_a_terminal_is_a_guess(
    driver: str, is_guessed: bool, tmp_path: Path
) -> None:
    """Those of whose screens nothing is known."""
    given = {"x": CliType(name="x", driver=driver, command=("x",))}
    assert with_terminals(given, {"PATH": str(tmp_path)})["x"].is_guessed_in_terminal is is_guessed


@pytest.mark.parametrize("prefix", ["probe.", "shadow."])
def test_ids_of_the_brokers_own_agents_are_refused(read: Read, prefix: str) -> None:
    """Nobody's prompts are taken for theirs."""
    _, agents, faults = read(f'[[agents]]\nid = "{prefix}a"\ncli_type = "scripted"\ncwd = "."\n')
    assert agents == []
    assert [(line, field) for line, field, _ in faults] == [(2, "agents[0].id")]


def test_words_that_a_terminal_would_obey_are_refused(read: Read) -> None:
    """They are repeated in commands for people; other variables may hold what they like."""
    _, _, faults = read(
        '[cli_types.codex]\ncommand = ["codex", "\\u001b[2J"]\n'
        '[cli_types.gemini]\nenv = { GEMINI_CLI_HOME = "/a\\nb", NOTE = "a\\nb" }\n'
        '[[agents]]\nid = "a"\ncli_type = "codex"\ncwd = "/a\\u009bm"\nenv = { HOME = "/\\u0007" }\n'
    )
    assert [(field.rpartition(".")[2], message) for _, field, message in faults] == [
        ("command", r"'\x1b[2J' holds a control character"),
        ("env", r"GEMINI_CLI_HOME: '/a\nb' holds a control character"),
        ("cwd", r"'/a\x9bm' holds a control character"),
        ("env", r"HOME: '/\x07' holds a control character"),
    ]
