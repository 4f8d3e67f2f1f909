"""A small agent that does what it is told: the stand-in for a vendor's CLI in demos, drills and tests.

It takes Claude Code's arguments and writes its stream-json. What it does is scripted by directives, in lines
of the prompt that begin with ``script:`` and in the file that ``KOKINO_SCRIPT`` names; docs/scripted-agent.md
describes them all. It is a program of its own, started by `scripted.py` with ``-I -S``: one file, standard
library only, and quick to start, so it imports little.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, NoReturn

VERSION = "2.1.197-scripted.1"
DEFAULT_MODEL = "scripted-1"
#: A line of the prompt that is for us and not for the model.
PROMPT_PREFIX = "script:"
#: Dollars per token, of the order that vendors take: the cost of a turn follows from its text alone.
INPUT_PRICE, OUTPUT_PRICE = 3e-6, 15e-6
#: What it says of a turn that somebody stopped.
INTERRUPTED = "Interrupted by user"
UUID = r"(?i:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})"
DURATION = r"(\d+(?:\.\d+)?)(ms|s|m)"
SECONDS = {"ms": 0.001, "s": 1, "m": 60}


class ScriptError(Exception):
    """A script that cannot be read: told on standard error, exit code 2."""


class Failure(NamedTuple):
    """A way in which a model's service refuses, as Claude Code tells it."""

    #: HTTP status in the retry records; None where the service was not reached.
    status: int | None
    #: Error word in the retry records; None where the CLI does not try again.
    word: str | None
    #: What the result record says.
    text: str


FAILURES = {
    "auth": Failure(401, "authentication_failed", "Failed to authenticate. API Error: 401 login has expired"),
    "quota": Failure(429, None, "You've hit your usage limit · resets at midnight"),
    "rate_limit": Failure(429, "rate_limit", "API Error: Request rejected (429) · too many requests"),
    "context_length": Failure(400, None, "Prompt is too long"),
    "overloaded": Failure(529, "overloaded", "API Error: Repeated 529 Overloaded errors"),
    "network": Failure(None, "unknown", "API Error: Unable to connect to API (ConnectionRefused)"),
}
#: How scripts name them, and those that Claude Code tries again.
KINDS = "|".join(FAILURES)
RETRIED = "|".join(kind for kind, failure in FAILURES.items() if failure.word)


class Options(NamedTuple):
    """What the command line asked for."""

    session_id: str
    is_resume: bool
    model: str


# --- what goes out ----------------------------------------------------------------------------------------


class Output:
    """Writes records, numbered so that each has a uuid of its own that a test can foretell."""

    def __init__(
        self, session_id: str, descriptor: int = 1, show: Callable[[str], None] | None = None
    ) -> None:
        self.session_id = session_id
        #: Where records go.
        self._descriptor = descriptor
        #: Puts a text on the screen, where there is one.
        self._show = show
        self._count = 0
        self._is_open = True

    def raw(self, data: bytes) -> None:
        """Bytes as they are."""
        while data and self._is_open:
            data = data[os.write(self._descriptor, data) :]

    def record(self, **fields: Any) -> None:
        """One line of JSON."""
        self._count += 1
        uuid = f"{self._count:08x}-0000-4000-8000-{self.session_id[-12:]}"
        whole = {**fields, "session_id": self.session_id, "uuid": uuid}
        self.raw(json.dumps(whole, ensure_ascii=False).encode() + b"\n")

    def assistant(self, *content: dict[str, Any], model: str, **more: Any) -> None:
        """A message of the model, or, from ``<synthetic>``, of the CLI itself."""
        if self._show:
            self._show("\n".join(f"● {block.get('text') or block.get('input')}" for block in content))
        message = {"role": "assistant", "type": "message", "model": model, "content": list(content)}
        self.record(type="assistant", message=message, parent_tool_use_id=None, **more)

    def note(self, text: str) -> None:
        """Put a text on the screen alone, where there is one."""
        if self._show:
            self._show(text)

    def close(self) -> None:
        """Close standard output; what would be written later is lost."""
        self._is_open = False
        os.close(self._descriptor)


class Memory:
    """What was said in a session: a file per session in ``$KOKINO_SCRIPTED_HOME``, or nothing at all."""

    def __init__(self, folder: str | None, session_id: str) -> None:
        self._file = Path(folder) / f"{session_id}.jsonl" if folder else None

    @property
    def is_kept(self) -> bool:
        """True where there is a place to remember in."""
        return self._file is not None

    def exists(self) -> bool:
        """True for a session that was begun."""
        return self._file is not None and self._file.exists()

    def turns(self) -> list[str]:
        """The prompts so far, oldest first."""
        if self._file is None or not self._file.exists():
            return []
        return [json.loads(line) for line in self._file.read_text("utf-8").splitlines()]

    def add(self, prompt: str) -> None:
        """Begin a turn."""
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(prompt) + "\n")


# --- one turn ---------------------------------------------------------------------------------------------


class Turn:
    """One prompt being answered; the directives act on it."""

    def __init__(self, options: Options, prompt: str, memory: Memory, out: Output) -> None:
        self.options = options
        self.prompt = prompt
        self.out = out
        self.turns_before = memory.turns()
        self.remembers = memory.is_kept
        #: What the model has said in this turn.
        self.said: list[str] = []
        self.has_result = True
        self.linger = 0.0
        self.ballast: list[bytearray] = []
        self._tools = 0
        self._started = time.monotonic()

    def say(self, text: str) -> None:
        """One message of the model."""
        self.said.append(text)
        self.out.assistant({"type": "text", "text": text}, model=self.options.model)

    @contextlib.contextmanager
    def tool(self, command: str) -> Iterator[None]:
        """A tool_use record, then the work, then its tool_result."""
        self._tools += 1
        tool_id = f"toolu_{len(self.turns_before)}_{self._tools}"
        tool = {"type": "tool_use", "id": tool_id, "name": "Bash", "input": {"command": command}}
        self.out.assistant(tool, model=self.options.model)
        yield
        result = {"type": "tool_result", "tool_use_id": tool_id, "content": "done", "is_error": False}
        message = {"role": "user", "content": [result]}
        self.out.record(type="user", message=message, parent_tool_use_id=None)

    def retry(self, failure: Failure, times: int, delay: float) -> None:
        """Records of tries that the service refused."""
        for attempt in range(1, times + 1):
            self.out.record(
                type="system", subtype="api_retry", attempt=attempt, max_retries=times,
                retry_delay_ms=delay * 1000, error_status=failure.status, error=failure.word,
            )  # fmt: skip
            time.sleep(delay)

    def fail(self, failure: Failure) -> NoReturn:
        """End as Claude Code does when the service goes on refusing."""
        if failure.word:
            self.retry(failure, times=2, delay=0.01)
        text = {"type": "text", "text": failure.text}
        self.out.assistant(text, model="<synthetic>", error=failure.word or "unknown")
        self.result(is_error=True, api_error_status=failure.status, result=failure.text)
        sys.exit(1)

    def result(self, *, subtype: str = "success", is_error: bool = False, **more: Any) -> None:
        """The last record."""
        answer = "" if is_error else "\n".join(self.said)
        read = 0 if is_error else tokens_in(*self.turns_before, self.prompt)
        written = tokens_in(answer)
        self.out.record(
            type="result",
            subtype=subtype,
            is_error=is_error,
            duration_ms=int((time.monotonic() - self._started) * 1000),
            num_turns=1 + self._tools,
            total_cost_usd=round(read * INPUT_PRICE + written * OUTPUT_PRICE, 8),
            usage={"input_tokens": read, "output_tokens": written},
            **{"result": answer, "api_error_status": None, **more},
        )

    def answer(self) -> str:
        """What it says where no directive says otherwise."""
        if not self.remembers and self.options.is_resume:
            return f'Thank you. You said "{short(self.prompt)}". I keep no memory of earlier turns.'
        number = len(self.turns_before) + 1
        before = f' Before that: "{short(self.turns_before[-1])}".' if self.turns_before else ""
        return f'Thank you. In turn {number} you said "{short(self.prompt)}".{before}'


def short(text: str, limit: int = 60) -> str:
    """One line of a text, cut where it is long."""
    squeezed = " ".join(text.split())
    return squeezed if len(squeezed) <= limit else squeezed[: limit - 1] + "…"


def tokens_in(*texts: str) -> int:
    """About as many tokens as a vendor would count: one for four characters begun."""
    return -(-sum(map(len, texts)) // 4)


# --- the directives ---------------------------------------------------------------------------------------


class Directive(NamedTuple):
    """One word of the language."""

    #: What may follow the word; compiled only when it is used.
    pattern: str
    #: How it is written, for messages.
    usage: str
    run: Callable[..., None]


class Script:
    """The language: a table of directives, filled by the functions below."""

    DIRECTIVES: ClassVar[dict[str, Directive]] = {}

    @classmethod
    def directive(cls, usage: str, pattern: str = "") -> Callable[[Callable[..., None]], Callable[..., None]]:
        """Make a function a directive; the groups of `pattern` are its arguments."""

        def register(function: Callable[..., None]) -> Callable[..., None]:
            word = usage.split(maxsplit=1)[0]
            cls.DIRECTIVES[word] = Directive(pattern, usage, function)
            return function

        return register

    @classmethod
    def parse(cls, text: str) -> list[Callable[[Turn], None]]:
        """The steps of a script; `ScriptError` for what it does not understand."""
        lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
        parts = (part.strip() for line in lines for part in line.split(";"))
        return [cls._step(part) for part in parts if part]

    @classmethod
    def _step(cls, text: str) -> Callable[[Turn], None]:
        word, _, rest = text.partition(" ")
        directive = cls.DIRECTIVES.get(word)
        if directive is None:
            raise ScriptError(f"unknown directive {word!r}; there are: {', '.join(sorted(cls.DIRECTIVES))}")
        match = re.fullmatch(directive.pattern, rest.strip())
        if match is None:
            raise ScriptError(f"cannot read {text!r}; it is written: {directive.usage}")
        return lambda turn: directive.run(turn, *match.groups())


def seconds(number: str, unit: str) -> float:
    """``2`` ``s`` in seconds."""
    return float(number) * SECONDS[unit]


@Script.directive("emit TEXT", r"(.+)")
def emit(turn: Turn, text: str) -> None:
    """Say it."""
    turn.say(text)


@Script.directive("think 2s", DURATION)
def think(turn: Turn, number: str, unit: str) -> None:  # noqa: ARG001
    """Be silent for so long."""
    time.sleep(seconds(number, unit))


@Script.directive("stream 20 lines every 50ms", rf"(\d+) lines every {DURATION}")
def stream(turn: Turn, count: str, number: str, unit: str) -> None:
    """Say so many lines, one after the other."""
    for line in range(1, int(count) + 1):
        turn.say(f"line {line}")
        time.sleep(seconds(number, unit))


@Script.directive("tool sleep 3s", rf"sleep {DURATION}")
def tool(turn: Turn, number: str, unit: str) -> None:
    """Run a tool: a process in a session of its own, as the real CLIs do."""
    length = seconds(number, unit)
    with turn.tool(f"sleep {length:g}"):
        os.waitpid(spawn_sleeper(length), 0)


@Script.directive("write FILE TEXT", r"(\S+) (.+)")
def write(turn: Turn, name: str, text: str) -> None:
    """Write a file in the working directory, by a tool."""
    with turn.tool(f"write {name}"):
        Path(name).write_text(text + "\n", "utf-8")


@Script.directive(f"fail {KINDS}", f"({KINDS})")
def fail(turn: Turn, kind: str) -> None:
    """Two retries where Claude Code would retry, then its error result and exit code 1."""
    turn.fail(FAILURES[kind])


@Script.directive(f"retry {RETRIED} 5 times every 1s", rf"({RETRIED}) (\d+) times every {DURATION}")
def retry(turn: Turn, kind: str, times: str, number: str, unit: str) -> None:
    """Records of refused tries; what follows is as if the next try had got through."""
    turn.retry(FAILURES[kind], int(times), seconds(number, unit))


@Script.directive("max-turns")
def max_turns(turn: Turn) -> None:
    """End at a limit of turns."""
    turn.result(subtype="error_max_turns", is_error=True, errors=["Reached maximum number of turns (1)"])
    sys.exit(1)


@Script.directive("crash [SIGSEGV|3]", r"(?:([A-Z0-9]+))?")
def crash(turn: Turn, how: str | None) -> None:  # noqa: ARG001
    """End at once by that signal (SIGKILL unless said) or with that exit code."""
    if how and how.isdigit():
        os._exit(int(how))
    number = signal_named(how or "SIGKILL")
    no_core_file()
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


@Script.directive("garbage")
def garbage(turn: Turn) -> None:
    """Lines that are no records."""
    turn.out.raw(b"Warning: something went by\n\x00\x01\x02\n{'not': json}\n[1, 2\n42\n\n")


@Script.directive("half-line")
def half_line(turn: Turn) -> None:
    """The first half of a record without its newline: whatever is written next is glued to it."""
    turn.out.raw(b'{"type":"assistant","message":{"role":"assistant","content":[{"type":"text","te')


@Script.directive("invalid-utf8")
def invalid_utf8(turn: Turn) -> None:
    """A record with bytes that are no UTF-8, and a record of a type that nobody knows."""
    turn.out.raw(b'{"type":"assistant","message":{"content":[{"type":"text","text":"caf\xe9 \xff\xfe"}]}}\n')
    turn.out.record(type="from_the_future", payload={"depth": [1, 2, 3]})


@Script.directive("long-line 50MB", r"(\d+)MB")
def long_line(turn: Turn, megabytes: str) -> None:
    """One record with so much text in it."""
    turn.out.assistant({"type": "text", "text": "x" * (int(megabytes) << 20)}, model=turn.options.model)


@Script.directive("flood 1s", DURATION)
def flood(turn: Turn, number: str, unit: str) -> None:
    """Records as fast as they can be written, for so long."""
    until = time.monotonic() + seconds(number, unit)
    while time.monotonic() < until:
        turn.out.assistant({"type": "text", "text": "flood " * 20}, model=turn.options.model)


@Script.directive("hang")
def hang(turn: Turn) -> None:  # noqa: ARG001
    """Do nothing for ever."""
    while True:
        time.sleep(3600)


@Script.directive("ignore SIGTERM", r"([A-Z0-9]+)")
def ignore(turn: Turn, name: str) -> None:  # noqa: ARG001
    """Take no notice of that signal from now on."""
    if name.removeprefix("SIG") in {"KILL", "STOP"}:
        raise ScriptError(f"nobody can ignore {name}")
    signal.signal(signal_named(name), signal.SIG_IGN)


@Script.directive("double-fork 60s", DURATION)
def double_fork(turn: Turn, number: str, unit: str) -> None:  # noqa: ARG001
    """Leave a process behind for so long: no parent, a session of its own, an empty environment."""
    child = os.fork()
    if child == 0:
        spawn_sleeper(seconds(number, unit))
        os._exit(0)
    os.waitpid(child, 0)


@Script.directive("fork-bomb 500", r"(\d{1,4})")
def fork_bomb(turn: Turn, count: str) -> None:
    """A tree that runs away: every process in it forks as fast as it can, up to so many in all."""
    tokens, fill = os.pipe2(os.O_NONBLOCK)
    os.write(fill, b"." * int(count))
    with contextlib.suppress(BlockingIOError):
        # Parent and child both go on here: each takes tokens until there are none left.
        while os.read(tokens, 1):
            os.fork()
    hang(turn)


@Script.directive("eat 200MB", r"(\d+)MB")
def eat(turn: Turn, megabytes: str) -> None:
    """Hold so much memory until the end."""
    block = bytearray(int(megabytes) << 20)
    # A page counts as resident only once it was written to.
    block[::4096] = b"\x01" * len(block[::4096])
    turn.ballast.append(block)


@Script.directive("no-result")
def no_result(turn: Turn) -> None:
    """Exit with code 0 and no result record."""
    turn.has_result = False


@Script.directive("linger 30s", DURATION)
def linger(turn: Turn, number: str, unit: str) -> None:
    """Stay for so long after the result record."""
    turn.linger = seconds(number, unit)


@Script.directive("close-stdout")
def close_stdout(turn: Turn) -> None:
    """Close standard output; the rest of the run writes nothing."""
    turn.out.close()


@Script.directive("empty-stdout")
def empty_stdout(turn: Turn) -> None:  # noqa: ARG001
    """Empty the file that standard output goes to, as a shell's ``> /dev/stdout`` does."""
    os.close(os.open("/dev/stdout", os.O_WRONLY | os.O_TRUNC))


@Script.directive("chance 10% DIRECTIVE", r"(\d+(?:\.\d+)?)% (.+)")
def chance(turn: Turn, percent: str, text: str) -> None:
    """Follow the directive in so many of a hundred turns, always in the same ones for the same seed."""
    import random  # noqa: PLC0415 - costs milliseconds at each start, and is seldom wanted

    seed = os.environ.get("KOKINO_SCRIPTED_SEED", "")
    dice = random.Random(f"{seed}/{turn.options.session_id}/{len(turn.turns_before)}/{turn.prompt}")  # noqa: S311
    steps = Script.parse(text)
    if dice.uniform(0, 100) < float(percent):
        for step in steps:
            step(turn)


def signal_named(name: str) -> signal.Signals:
    """``SIGTERM`` or ``TERM``."""
    whole = name if name.startswith("SIG") else f"SIG{name}"
    if whole not in signal.Signals.__members__:
        raise ScriptError(f"unknown signal {name!r}")
    return signal.Signals[whole]


def no_core_file() -> None:
    """A crash on purpose leaves nothing behind in the working directory."""
    import resource  # noqa: PLC0415 - needed by a crash only

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def spawn_sleeper(length: float) -> int:
    """A process that sleeps, in a session of its own and with an empty environment; its pid."""
    child = os.fork()
    if child == 0:
        os.setsid()
        code = f"import time; time.sleep({length})"
        os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", code], {})  # noqa: S606 - no shell is meant
    return child


# --- start and end ----------------------------------------------------------------------------------------


def read_options(arguments: list[str]) -> Options:
    """Claude Code's arguments, as far as they matter here; all others are passed over, as flags may be."""
    values = dict(itertools.pairwise(arguments))
    resumed = values.get("--resume")
    session_id = resumed or values.get("--session-id") or "00000000-0000-4000-8000-000000000000"
    return Options(session_id, resumed is not None, values.get("--model", DEFAULT_MODEL))


def refusal(options: Options, memory: Memory) -> str | None:
    """Why Claude Code would not begin with this session, in its words, or None."""
    if not re.fullmatch(UUID, options.session_id):
        if options.is_resume:
            return (
                f'Error: --resume requires a valid session ID. Provided value "{options.session_id}" is none.'
            )
        return "Error: Invalid session ID. Must be a valid UUID."
    if memory.exists() and not options.is_resume:
        return f"Error: Session ID {options.session_id} is already in use."
    return None


def scripts_for(prompt: str) -> Iterator[str]:
    """The scripts that hold for this start: the environment's first, for it is the fault injector."""
    name = os.environ.get("KOKINO_SCRIPT")
    if name and Path(name).exists():
        yield Path(name).read_text("utf-8")
    for line in prompt.splitlines():
        if line.startswith(PROMPT_PREFIX):
            yield line.removeprefix(PROMPT_PREFIX)


def has_login() -> bool:
    """False where a login is asked for and is missing or expired."""
    name = os.environ.get("KOKINO_SCRIPTED_LOGIN")
    return not name or (Path(name).exists() and "expired" not in Path(name).read_text("utf-8"))


def stop(number: int, frame: object) -> NoReturn:  # noqa: ARG001
    """SIGTERM and SIGHUP: gone at once, without a result, as Claude Code goes."""
    os._exit(128 + number)


def main() -> None:
    """Answer the prompt on standard input; see the top of the file."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    # Python leaves it ignored where a shell's background job started it; a CLI listens all the same.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"{VERSION} (scripted agent)\n")
        return
    options = read_options(sys.argv[1:])
    memory = Memory(os.environ.get("KOKINO_SCRIPTED_HOME"), options.session_id)
    reason = refusal(options, memory)
    if reason:
        sys.exit(reason)
    try:
        if "--interactive" in sys.argv:
            serve_terminal(options, memory)
        else:
            prompt = sys.stdin.buffer.read().decode("utf-8", "replace")
            run(options, memory, prompt, Output(options.session_id))
    except (ScriptError, OSError) as error:
        sys.stderr.write(f"scripted-agent: {error}\n")
        sys.exit(2)


def serve_terminal(options: Options, memory: Memory) -> None:
    """One turn for each prompt that is typed; like Claude Code it stays after one that failed."""
    # As in `scripted.py`, for whoever starts it otherwise.
    sys.path.append(str(Path(__file__).parent))
    import scripted_terminal  # type: ignore[import-not-found]  # noqa: PLC0415 - without a terminal it is not needed

    if options.is_resume and memory.is_kept and not memory.exists():
        sys.exit(f"No conversation found with session ID: {options.session_id}")
    values = dict(itertools.pairwise(sys.argv))
    descriptor = os.open(values["--records"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    terminal = scripted_terminal.Terminal(VERSION)
    for prompt in terminal.prompts():
        with contextlib.suppress(SystemExit):
            run(options, memory, prompt, Output(options.session_id, descriptor, terminal.show))
        options = options._replace(is_resume=True)


def run(options: Options, memory: Memory, prompt: str, out: Output) -> None:
    """One turn from its first record to its last."""
    steps = [step for script in scripts_for(prompt) for step in Script.parse(script)]
    spoken = "\n".join(line for line in prompt.splitlines() if not line.startswith(PROMPT_PREFIX))
    turn = Turn(options, spoken, memory, out)
    if options.is_resume and memory.is_kept and not memory.exists():
        lost = f"No conversation found with session ID: {options.session_id}"
        turn.result(subtype="error_during_execution", is_error=True, errors=[lost])
        sys.exit(lost)
    turn.out.record(
        type="system", subtype="init", cwd=str(Path.cwd()), tools=["Bash"], model=options.model,
        permissionMode="default", claude_code_version=VERSION,
    )  # fmt: skip
    memory.add(spoken)
    try:
        play(turn, steps)
    except KeyboardInterrupt:
        # SIGINT: Claude Code says so in a result and exits with 0.
        out.note(f"⎿ {INTERRUPTED}")
        ended: dict[str, Any] = {"errors": [INTERRUPTED], "terminal_reason": "aborted_streaming"}
        turn.result(subtype="error_during_execution", is_error=True, **ended)


def play(turn: Turn, steps: list[Callable[[Turn], None]]) -> None:
    """Do as told, answer where nothing was said, and end."""
    if not has_login():
        turn.fail(FAILURES["auth"])
    for step in steps:
        step(turn)
    if turn.has_result:
        if not turn.said:
            turn.say(turn.answer())
        turn.result()
    time.sleep(turn.linger)


if __name__ == "__main__":
    main()
