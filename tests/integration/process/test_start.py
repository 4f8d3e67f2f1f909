import asyncio
import os
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from kokino.errors import ProcessError
from kokino.process.client import Warden
from kokino.process.failures import CommandNotFound, DirectoryNotFound, NotPermitted
from kokino.process.model import Ended, read_exit_file
from tests.integration.process.box import Box, at_once, ended, is_alive


@pytest.mark.parametrize("code", [0, 3, 255])
async def test_the_exit_code_is_told_and_left_in_the_exit_file(box: Box, warden: Warden, code: int) -> None:
    """What the CLI exits with is what `ended` and the exit file say."""
    launch = box.launch("e", f"raise SystemExit({code})")

    outcome = await box.run(warden, launch)

    assert outcome == Ended(code=code, signal=None, was_stopped=False, leftovers=0)
    assert read_exit_file(launch.exit_file) == outcome


async def test_the_signal_that_ended_a_cli_is_told(box: Box, warden: Warden) -> None:
    """A CLI that dies by a signal nobody here sent has a signal, no code, and was not stopped."""
    outcome = await box.run(warden, box.launch("e", "import os; os.kill(os.getpid(), 11)"))

    assert outcome == Ended(code=None, signal=11, was_stopped=False, leftovers=0)


async def test_output_is_appended_to_the_spool_files(box: Box, warden: Warden) -> None:
    """Both streams are in files that only the owner may read, behind what was there before."""
    launch = box.launch("e", "import sys; print('answer'); print('complaint', file=sys.stderr)")
    launch.stdout.write_text("before\n")

    await box.run(warden, launch)

    assert launch.stdout.read_text() == "before\nanswer\n"
    assert launch.stderr.read_text() == "complaint\n"
    assert launch.stderr.stat().st_mode & 0o777 == 0o600


async def test_the_cli_reads_its_prompt_from_the_file(box: Box, warden: Warden) -> None:
    """Standard input is the given file, from its beginning to its end."""
    prompt = box.folder / "prompt"
    prompt.write_text("say hello")
    launch = replace(box.launch("e", "import sys; print(sys.stdin.read().upper())"), stdin=prompt)

    await box.run(warden, launch)

    assert launch.stdout.read_text() == "SAY HELLO\n"


async def test_the_environment_is_the_given_one_and_the_execution(box: Box, warden: Warden) -> None:
    """Nothing of the broker's environment reaches a CLI, and bytes that are no UTF-8 pass unharmed."""
    script = (
        "import os; print(sorted(name for name in os.environb if name != b'LC_CTYPE'), os.environb[b'ODD'])"
    )
    launch = box.launch("exec-7", script)

    await box.run(warden, replace(launch, env={"ODD": os.fsdecode(b"\xff")}))

    assert launch.stdout.read_text() == "[b'KOKINO_EXECUTION', b'ODD'] b'\\xff'\n"


async def test_a_cli_inherits_nothing_but_its_three_streams(box: Box, warden: Warden) -> None:
    """No descriptor of warden, keeper or others leaks: a lifeline that a child holds would never close."""
    sleeps = "import time; print('up', flush=True); time.sleep(60)"
    launches = [box.launch(f"e{number}", sleeps) for number in range(2)]
    for launch in launches:
        await box.start(warden, launch)
        await box.says(launch, "up")

    for started in box.started:
        assert sorted(_descriptors(started.pid)) == ["0", "1", "2"]
        assert sum(where.startswith("socket:") for where in _descriptors(started.keeper_pid).values()) == 1


async def test_ps_shows_whose_cli_a_keeper_keeps(box: Box, warden: Warden) -> None:
    """By its title and execution, as far as the warden's own arguments had room; its environment stays."""
    launch = replace(box.launch("exec-9", "import time; time.sleep(60)"), title="claude-code writer")
    started = await box.start(warden, launch)
    process = psutil.Process(started.keeper_pid)
    assert "".join(process.cmdline()) == "kokino-keeper claude-code writer exec-9"
    assert "PATH" in process.environ()


async def test_a_cli_starts_with_default_signals_in_a_session_of_its_own(box: Box, warden: Warden) -> None:
    """No ignored or blocked signal is inherited from the keeper, nor its session."""
    script = """
        import os
        lines = dict(line.split(":\\t") for line in open("/proc/self/status") if ":\\t" in line)
        # Python itself ignores SIGPIPE (13) and SIGXFSZ (25) as it starts; 32 and 33 are the C library's.
        ignored = int(lines["SigIgn"], 16) & ~(1 << 31 | 1 << 32)
        print(int(lines["SigBlk"], 16), hex(ignored), os.getsid(0) == os.getpid())
    """
    launch = box.launch("e", script)

    await box.run(warden, launch)

    assert launch.stdout.read_text() == f"0 {hex(1 << 12 | 1 << 24)} True\n"


async def test_a_program_that_is_not_there_is_told_by_name(box: Box, warden: Warden) -> None:
    """A name that no folder of the PATH holds is CommandNotFound, and the message shows the PATH."""
    launch = replace(box.launch("e", ""), argv=("no-such-cli",), env={"PATH": "/bin"})

    with pytest.raises(CommandNotFound, match=r"no-such-cli is not on the PATH of this execution \(/bin\)"):
        await warden.start(launch)
    assert not warden.running
    assert not launch.exit_file.exists()


async def test_the_path_of_the_given_environment_finds_the_program(box: Box, warden: Warden) -> None:
    """The PATH that counts is the execution's, not the broker's; a file without x hides no later one."""
    for name, mode in (("first", 0o644), ("second", 0o755)):
        _program(box.folder / name / "cli", "#!/bin/sh\necho found $0\n", mode)
    path = f"{box.folder}/first:{box.folder}/second"
    launch = replace(box.launch("e", ""), argv=("cli",), env={"PATH": path})

    await box.run(warden, launch)

    assert launch.stdout.read_text() == f"found {box.folder}/second/cli\n"


async def test_a_script_whose_interpreter_is_missing_says_so(box: Box, warden: Warden) -> None:
    """The kernel calls both "no such file"; a person needs to know which."""
    program = _program(box.folder / "cli", "#!/no/such/interpreter\n", 0o755)

    with pytest.raises(CommandNotFound, match="interpreter"):
        await warden.start(replace(box.launch("e", ""), argv=(str(program),)))


async def test_a_file_that_may_not_be_run_is_told(box: Box, warden: Warden) -> None:
    """A program without the x bit is NotPermitted, not "not found"."""
    program = _program(box.folder / "cli", "#!/bin/sh\n", 0o644)

    with pytest.raises(NotPermitted, match=f"the program {program} cannot be run: Permission denied"):
        await warden.start(replace(box.launch("e", ""), argv=(str(program),)))


async def test_a_missing_working_directory_is_told(box: Box, warden: Warden) -> None:
    """It is not mistaken for a missing program."""
    launch = replace(box.launch("e", ""), cwd=box.folder / "gone")

    with pytest.raises(DirectoryNotFound, match="gone does not exist"):
        await warden.start(launch)


async def test_a_missing_prompt_file_is_told(box: Box, warden: Warden) -> None:
    """Every file that cannot be opened is named, with what it was for."""
    launch = replace(box.launch("e", ""), stdin=box.folder / "no-prompt")

    with pytest.raises(ProcessError, match=r"its standard input .*/no-prompt cannot be read: No such file"):
        await warden.start(launch)


async def test_an_id_is_free_again_after_a_failed_start(box: Box, warden: Warden) -> None:
    """A start that failed leaves nothing behind that stands in the way of the next."""
    with pytest.raises(CommandNotFound):
        await warden.start(replace(box.launch("e", ""), argv=("no-such-cli",)))

    assert (await box.run(warden, box.launch("e", "raise SystemExit(4)"))).code == 4


async def test_one_execution_runs_once(box: Box, warden: Warden) -> None:
    """A second start under an id that runs is refused, and the first one is not disturbed."""
    launch = box.launch("e", "import time; time.sleep(60)")
    started = await box.start(warden, launch)

    with pytest.raises(ProcessError, match="'e' is running already"):
        await warden.start(launch)
    assert is_alive(started.pid)


async def test_twenty_executions_start_at_the_same_time(box: Box, warden: Warden) -> None:
    """Starts do not wait for one another, and each end is told to the one who asked for it."""
    launches = [box.launch(f"e{number}", f"raise SystemExit({number})") for number in range(20)]

    outcomes = await asyncio.gather(*(box.run(warden, launch) for launch in launches))

    assert [outcome.code for outcome in outcomes] == list(range(20))
    assert not warden.running


async def test_a_start_whose_caller_is_cancelled_leaves_no_process(box: Box, warden: Warden) -> None:
    """Nobody would end what nobody waits for."""
    launch = at_once(box.launch("e", "import os, time; print(os.getpid(), flush=True); time.sleep(60)"))
    starting = asyncio.create_task(warden.start(launch))
    await asyncio.sleep(0)  # it has asked by now

    starting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await starting
    assert (await ended(warden, "e")).signal == 9
    assert not warden.running


def _program(path: Path, text: str, mode: int) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def _descriptors(pid: int) -> dict[str, str]:
    return {entry.name: str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()}
