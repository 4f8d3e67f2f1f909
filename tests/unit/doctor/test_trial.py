"""What a dry run came to, and whether a version can be used."""

from __future__ import annotations

import pytest

from kokino.doctor import trial
from kokino.doctor.model import Check
from kokino.process.errand import Report
from kokino.process.model import Breach, Ended

ARGV = ("/opt/my tools/codex", "--version")
ASKED = "`'/opt/my tools/codex' --version`"


def report(
    stdout: bytes = b"", stderr: bytes = b"", *, code: int | None = 0, signal: int | None = None,
    breach: Breach | None = None,
) -> Report:  # fmt: skip
    """How it ended."""
    ended = Ended(code=code, signal=signal, was_stopped=False, leftovers=0, breach=breach)
    return Report(ended=ended, stdout=stdout, stderr=stderr)


@pytest.mark.parametrize(
    ("found", "passed", "says"),
    [
        (report(b"codex-cli 0.169.0\n"), True, "told 0.169.0 in 0.2 s"),
        (report(b"hello"), True, "told no version in 0.2 s"),
        (report(code=1, stderr=b"one\nno such file  \n"), False, "exited with 1: no such file"),
        (report(b"said here", code=3), False, "exited with 3: said here"),
        (report(code=2), False, "exited with 2"),
        (report(code=None, signal=11), False, "was ended by signal 11"),
        (report(code=None, signal=9, breach=Breach.MEMORY), False, "took more memory than any CLI does"),
        (report(code=1, stderr=b"\xff\xfe"), False, "exited with 1: \ufffd\ufffd"),
    ],
)
def test_a_dry_run_passes_by_its_exit(found: Report, passed: bool, says: str) -> None:
    """What failed is told with its last words, and what to do; no command mends every CLI."""
    check = trial.judge(ARGV, found, 0.21, {})
    assert check.passed is passed
    assert check.message.startswith(f"{ASKED} ")
    assert says in check.message
    assert check.message.endswith("; run it to see all that it says, or install it anew") is not passed
    assert check.mend is None


def test_what_a_cli_says_keeps_no_secret() -> None:
    """Values of variables that hold one are shown by their names."""
    env = {"OPENAI_API_KEY": "sk-canary-0001", "HOME": "/home/agent", "SHORT_TOKEN": "a"}
    env["GIT_AUTHOR_NAME"] = "Alice Writer"
    said = report(code=1, stderr=b"cannot use sk-canary-0001 of Alice Writer in /home/agent")
    message = trial.judge(ARGV, said, 1, env).message
    assert "cannot use $OPENAI_API_KEY of Alice Writer in /home/agent; run it" in message


@pytest.mark.parametrize("code", [0, 1])
def test_a_command_that_holds_a_secret_is_told_without_it(code: int) -> None:
    """It stands in what passed as in what failed."""
    argv = ("codex", "-c", "key=sk-canary-0123456789abcdef", "--version")
    message = trial.judge(argv, report(b"codex-cli 0.169.0", code=code), 1, {}).message
    assert message.startswith("`codex -c key=[redacted]")
    assert "canary" not in message


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("via http://bob:hunter2%21secret@proxy:3128", "via $HTTPS_PROXY"),
        ("via http://bob:hunter2%21secret@proxy:3128/x", "via $HTTPS_PROXY/x"),
        ("bob may not: hunter2!secret", "bob may not: [redacted]"),
        ("via http://eve:other@elsewhere", "via http://[redacted]@elsewhere"),
        ("bad key sk-ant-api03-AAAAAAAAAAAAAAAAAAAA", "bad key [redacted]"),
        ("bad key canary-0001-and-more", "bad key $LONGER_KEY"),
    ],
)
def test_secrets_are_known_by_their_shape_too(said: str, told: str) -> None:
    """A password in an address, and a token that nobody told us of."""
    env = {
        "HTTPS_PROXY": "http://bob:hunter2%21secret@proxy:3128",
        "SHORTER_KEY": "canary-0001",
        "LONGER_KEY": "canary-0001-and-more",
    }
    message = trial.judge(ARGV, report(code=1, stderr=said.encode()), 1, env).message
    assert f"exited with 1: {told}; run it" in message


def test_what_keeps_a_cli_from_being_started_keeps_no_secret() -> None:
    """Nor does any other failure of a trial."""
    assert "hunter2" not in trial.failed("no way to http://bob:hunter2@proxy").message


def test_what_was_not_tried_says_so() -> None:
    """It passed for want of a question, and survives being stored so."""
    check = trial.untried("doctor.dry_run is off")
    assert (check.is_well, check.is_tried) == (True, False)
    assert Check.from_document(check.to_document()) == check


def test_what_could_not_be_tried_is_warned_of() -> None:
    """Nobody knows now whether the CLI starts; what would tell is said with it."""
    check = trial.unmade("there is no broker", mend="kokino serve")
    assert (check.passed, check.is_well, check.is_tried) == (False, True, False)
    assert (check.message, check.mend) == ("not tried: there is no broker", "kokino serve")
