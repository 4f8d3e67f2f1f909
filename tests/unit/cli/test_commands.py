"""What the command line answers to what it cannot do, and to those who ask how it is used."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from kokino.cli import main, restart
from kokino.config import FILE_NAME
from kokino.errors import KokinoError

#: Where typer takes what it writes to for a terminal, as in some build services.
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``kokino`` as its program does, on a terminal of 80 columns: exit code, output, errors."""
    for name in [name for name in os.environ if name.startswith("KOKINO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")

    def of(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["kokino", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return code, COLOUR.sub("", said.out), COLOUR.sub("", said.err)

    return of


def serving(run: Run, home: Path, toml: str, *options: str) -> tuple[int, str, str]:
    """What ``kokino serve --check`` answers to a file's text."""
    home.mkdir(exist_ok=True)
    (home / FILE_NAME).write_text(toml, encoding="utf-8")
    return run("serve", "--check", "--home", str(home), *options)


@pytest.mark.parametrize("options", [(), ("--check",)])
def test_a_home_that_can_be_none_is_told_in_one_line(run: Run, tmp_path: Path, options: tuple[str]) -> None:
    """A file, and what lies below one; to check finds it as well as to start."""
    file = tmp_path / "file"
    file.write_text("not a folder")
    for home in (file, file / "below"):
        code, _, said = run("serve", "--home", str(home), *options)
        assert code == 1
        assert said.startswith(f"kokino: {home} cannot be a home: ")
        assert "choose another folder with --home" in said
        assert said.count("\n") == 1


def test_a_home_of_nobody_is_told_in_one_line(run: Run) -> None:
    """No such user, so no such folder."""
    code, _, said = run("serve", "--check", "--home", "~no-such-user/x")
    assert (code, said.count("\n")) == (1, 1)
    assert said.startswith("kokino: ~no-such-user/x leads to no folder")


@pytest.mark.parametrize("port", ["99999", "-1"])
@pytest.mark.parametrize("options", [(), ("--check",)])
def test_a_port_that_is_none_is_refused(run: Run, tmp_path: Path, port: str, options: tuple[str]) -> None:
    """Before anything is made."""
    code, _, said = run("serve", "--home", str(tmp_path / "home"), "--port", port, *options)
    assert code == 2
    assert "--port" in said
    assert "Traceback" not in said
    assert not (tmp_path / "home").exists()


def test_to_check_a_home_that_is_not_there_says_that_it_would_be_made(run: Run, tmp_path: Path) -> None:
    """It is no mistake: the first start makes it. To check makes nothing."""
    code, said, _ = run("serve", "--check", "--home", str(tmp_path / "home"))
    assert code == 0
    assert said.endswith(f"{tmp_path / 'home'} does not exist and would be made, with the defaults\n")
    assert not (tmp_path / "home").exists()


def test_to_check_refuses_a_database_that_cannot_be_opened(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the file with its line, of the environment with its words."""
    code, _, said = serving(run, tmp_path, '[storage]\nurl = "mysql://x"\n')
    assert code == 1
    assert f"{tmp_path / FILE_NAME}:2: storage.url: starts with 'mysql': use sqlite:///" in said
    monkeypatch.setenv("KOKINO_DATABASE_URL", "mysql://x")
    code, _, said = serving(run, tmp_path, "")
    assert code == 1
    assert "starts with 'mysql'" in said


def test_to_check_tells_of_a_database_that_is_damaged(run: Run, tmp_path: Path) -> None:
    """As the start would, and as the start it leaves the file as it is."""
    path = tmp_path / "broker" / "data" / "kokino.db"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"somebody's diary" * 500)
    code, _, said = serving(run, tmp_path, "")
    assert (code, said.count("\n")) == (1, 1)
    assert said.startswith(f"kokino: {path}: the file is damaged (file is not a database)")
    assert "`kokino integrity restore FILE`" in said
    assert [one.name for one in path.parent.iterdir()] == ["kokino.db"]


def test_a_broker_that_ended_by_its_restart_is_told_with_the_way_back(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Start it soon; where its database is damaged, after a backup is in its place."""
    about = {"pid": 17, "restart": None, "startedAt": "", "home": "/srv/my kokino"}
    answers = iter([about])
    signals: list[tuple[int, int]] = []

    def get(_url: str, _path: str) -> object:
        for answer in answers:
            return answer
        raise KokinoError("no broker answers")

    monkeypatch.setattr(restart, "get", get)
    monkeypatch.setattr(restart, "_is_serving", lambda _pid: not signals)
    monkeypatch.setattr(os, "kill", lambda *sent: signals.append(sent))
    code, _, said = run("restart")
    assert (code, signals) == (1, [(17, signal.SIGUSR2)])
    assert "the broker has ended" in said
    assert "`kokino serve --check --home '/srv/my kokino'`" in said
    assert "`kokino integrity restore FILE`, same --home" in said


def test_to_check_warns_of_agents_that_cannot_run(run: Run, tmp_path: Path) -> None:
    """Their program or folder may come later: the broker starts without them, so it is no fault."""
    agent = '[[agents]]\nid = "a"\ncli_type = "gone"\ncwd = "nowhere"\n'
    cli_type = '[cli_types.gone]\ndriver = "scripted"\ncommand = ["no-such-program"]\n'
    code, said, warned = serving(run, tmp_path, agent + cli_type)
    assert (code, said) == (0, f"the configuration is good: {tmp_path / FILE_NAME}\n")
    assert "kokino: warning: gone: 'no-such-program' is not on PATH" in warned
    assert f"kokino: warning: gone: a: {tmp_path / 'nowhere'} is no folder" in warned


def test_an_address_without_its_scheme_is_told_what_it_lacks(run: Run) -> None:
    """No broker was looked for, so none is said to be missing."""
    code, _, said = run("sessions", "list", "--url", "127.0.0.1:5177")
    assert (code, said.count("\n")) == (1, 1)
    assert "give --url with http://" in said


COMMANDS = (
    "serve",
    "restart",
    "doctor",
    "demo",
    "diff",
    "token",
    "playbook env",
    "sessions list",
    "sessions cleanup",
)


@pytest.mark.parametrize("command", ["", "playbook", "sessions", *COMMANDS])
def test_a_switch_is_not_shown_as_if_it_took_a_value(run: Run, command: str) -> None:
    """``--yes <bool>`` makes people write ``--yes true``."""
    code, said, _ = run(*command.split(), "--help")
    assert code == 0
    assert "--help" in said
    assert "<bool>" not in said


@pytest.mark.parametrize("command", COMMANDS)
def test_help_breaks_its_lines_where_the_terminal_ends(run: Run, command: str) -> None:
    """A line ends only where the next word would not have fitted any more."""
    _, said, _ = run(*command.split(), "--help")
    about = [line.strip() for line in said.partition("╭")[0].splitlines()]
    assert all(len(line) <= 80 for line in said.splitlines())
    for line, after in pairwise(about):
        if line and after:
            assert len(f"{line} {after.split()[0]}") > 78, line


def test_a_word_that_is_none_of_the_choices_is_refused_in_words(run: Run) -> None:
    """What may stand there, without a validator's own words."""
    for arguments in (("sessions", "list", "--format", "xml"), ("token", "a", "--scope", "xml")):
        code, _, said = run(*arguments)
        assert code == 2
        assert "'xml' is not one of" in said
        assert "Value error" not in said


def test_a_number_out_of_its_range_is_refused_in_words(run: Run) -> None:
    """It is no input to whoever writes it."""
    code, _, said = run("serve", "--port", "99999")
    assert code == 2
    assert "'--port': must be less than or equal to 65535" in said
