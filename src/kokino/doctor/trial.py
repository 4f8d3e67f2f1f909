"""What a CLI came to when it was started to be tried out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from kokino.agents.drivers.contract import Driver
from kokino.agents.drivers.text import one_line
from kokino.doctor.diagnose import installing
from kokino.doctor.model import Check
from kokino.executions.errand import Report
from kokino.executions.model import Execution, State
from kokino.executions.versions import version_in
from kokino.storage.redact import redacted

#: Variables that hold what nobody else may read, by a part of their names.
SECRET = re.compile("KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL|AUTH", re.IGNORECASE)
#: The shortest value that is hidden: shorter ones would be found in any text.
SHORTEST = 6
#: A name and a password in an address: ``http://NAME:PASSWORD@proxy``.
IN_ADDRESS = re.compile(r"://[^\s/@:]*:(?P<password>[^\s/@]+)@")


def judge(argv: Sequence[str], report: Report, seconds: float, env: Mapping[str, str]) -> Check:
    """Whether a CLI that was asked for its version has started and ended as it should."""
    asked, ended = f"`{shlex.join(argv)}`", report.ended
    if ended.code == 0:
        said = version_in(report.stdout) or "no version"
        return Check(name="dryrun", passed=True, message=f"{asked} told {said} in {seconds:.1f} s")
    if ended.breach is not None:
        how = f"took more {ended.breach} than any CLI does for that, and was killed"
    elif ended.signal is not None:
        how = f"was ended by signal {ended.signal}"
    else:
        how = f"exited with {ended.code}"
    return failed(f"{asked} {how}{_last_words(report, env)}", argv)


def late(argv: Sequence[str], patience: float) -> Check:
    """It did not end in time, twice in a row."""
    said = f"`{shlex.join(argv)}` did not end within {patience:g} s and was killed with its processes, twice"
    return failed(said, argv)


def failed(message: str, argv: Sequence[str] = ()) -> Check:
    """A trial that failed, with the command to see it for oneself."""
    return Check(
        name="dryrun", passed=False, message=redacted(message), mend=shlex.join(argv) if argv else None
    )


def untried(reason: str) -> Check:
    """Nothing was started."""
    message = f"not tried: {reason}"
    return Check(name="dryrun", passed=True, message=message, is_required=False, is_tried=False)


def judge_answer(execution: Execution) -> Check:
    """Whether a CLI has answered a prompt."""
    if execution.state is State.COMPLETED:
        return Check(name="dryrun", passed=True, message=f"answered a prompt: {execution.execution_id}")
    kind = execution.kind.value if execution.kind else execution.state.value
    said = f"a prompt failed with kind {kind}: {execution.error or execution.state.value}"
    return failed(f"{said} ({execution.execution_id})")


def check_version(driver: Driver, program: str, version: str | None) -> Check | None:
    """Whether the CLI is at least as new as what its driver was tried with; None where nobody can tell."""
    oldest = driver.needs.oldest
    if oldest is None or version is None:
        return None
    if _numbers(version) >= _numbers(oldest):
        return Check(name="version", passed=True, message=f"{version}; {oldest} and later can be used")
    return Check(
        name="version",
        passed=False,
        message=f"{version} is older than {oldest}, the oldest that its driver was tried with: update it",
        is_required=False,
        mend=newest(driver, program),
    )


def newest(driver: Driver, program: str) -> str | None:
    """The command that updates a driver's own program."""
    command = installing(driver, program.rpartition("/")[2])
    return None if command is None else f"{command}@latest"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("-")[0]))


def _last_words(report: Report, env: Mapping[str, str]) -> str:
    said = (report.stderr.strip() or report.stdout.strip()).decode("utf-8", "replace").splitlines()
    if not said:
        return ""
    return f": {one_line(_without_secrets(said[-1], env))}"


def _without_secrets(text: str, env: Mapping[str, str]) -> str:
    """Values that hold a secret by the names of their variables, the longest first; other secrets masked."""
    passwords = {name: _passwords(value) for name, value in env.items()}
    hidden = [(value, name) for name, value in env.items() if SECRET.search(name) or passwords[name]]
    for value, name in sorted(hidden, key=lambda one: len(one[0]), reverse=True):
        if len(value) >= SHORTEST:
            text = text.replace(value, f"${name}")
    return redacted(text, (one for found in passwords.values() for one in found if len(one) >= SHORTEST))


def _passwords(value: str) -> tuple[str, ...]:
    """The password of a value that is an address, as it is written and as it is meant."""
    found = IN_ADDRESS.search(value)
    return () if found is None else (found["password"], unquote(found["password"]))
