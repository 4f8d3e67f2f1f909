"""Claude Code in a terminal: its records are the session's own file, its screen tells the rest."""

from __future__ import annotations

import re
from pathlib import Path

from kokino.agents.drivers.claude_code import QUIET, session_arguments
from kokino.agents.drivers.contract import Command, Invocation, Look, Reader, Sight, Surroundings
from kokino.agents.drivers.session_files import claude_session
from kokino.agents.drivers.terminal.boxes import MARK, Dialog, below_box, box_in, question_in
from kokino.agents.drivers.terminal.transcript import TranscriptReader
from kokino.agents.failures import FailureKind

#: Claude Code asks these before it is ready. Headless it asks none of them, so each is answered as it is
#: taken there: whoever configured the agent has said that it works in this folder with this key.
DIALOGS = (
    Dialog(name="trust the folder", sign=re.compile(rf"{MARK} 1\. Yes, I trust this folder"), keys=("1",)),
    Dialog(
        name="use the API key of the environment",
        sign=re.compile(r"Do you want to use this API key\?"),
        keys=("1",),
    ),
    # The flag that leads here needs an administrator.
    Dialog(
        name="let it do anything unasked",
        sign=re.compile(r"By proceeding, you accept all responsibility"),
        keys=("2",),
    ),
    Dialog(
        name="log in",
        sign=re.compile(
            r"Select login method|Paste code here if prompted|Invalid API key · Please run /login"
        ),
        says="Claude Code asks for a login: run `claude` once as this user, and /login",
        kind=FailureKind.AUTH,
    ),
    Dialog(name="choose a theme", sign=re.compile(r"Choose the text style that looks best"), keys=("Enter",)),
    Dialog(name="go on", sign=re.compile(r"Press Enter to continue"), keys=("Enter",)),
)
#: How a question of its tools begins; that for the key of the environment comes before any tool.
ASKS = re.compile(r"Do you want to (?!use this API key).*\?|Would you like to proceed\?")
#: A dialog that it begins with stands in so many of the lowest lines: what is above may quote one.
LOWEST = 24
#: Beneath the box while it works.
WORKS = re.compile(r"esc to interrupt")


class ClaudeCodeTerminal:
    """Drives Claude Code 2.x as a person does."""

    quit: tuple[str, ...] = ("C-c", "C-c")
    stop: tuple[str, ...] = ("Escape",)
    #: A slash command, a shell command, a memory.
    commands = "/!#"

    def command(self, invocation: Invocation) -> Command:
        """A ``claude`` without ``-p``, in the session that a headless one would have."""
        argv = (*invocation.command, *session_arguments(invocation), *invocation.flags)
        return Command(argv=argv, stdin=None, env=QUIET)

    def records(self, invocation: Invocation, surroundings: Surroundings) -> Path | None:
        """The session's file. It is made when the first prompt is sent."""
        own = claude_session(invocation.session_id, surroundings.cwd.resolve(), surroundings.env)
        # It may have been begun elsewhere.
        return next(iter(own.parent.parent.glob(f"*/{own.name}")), None) or own

    def reader(self, resumes: str | None = None) -> Reader:
        """A fresh reader of a session's file."""
        return TranscriptReader(resumes)

    def look(self, screen: str) -> Look:
        """Understand a screen."""
        return look_at(screen)


def look_at(screen: str) -> Look:
    """Understand a screen: a question covers the box, and where it works there is a box too.

    What was said may look like a box: then the question stands below it, where the box's own has hints alone.
    """
    box = box_in(screen)
    if box is None or question_in("\n".join(below_box(screen.split("\n"))), ASKS):
        return _covered(screen)
    is_working = WORKS.search(screen.rpartition(MARK)[2]) is not None
    return Look(sight=Sight.WORKING if is_working else Sight.READY, box=box)


def _covered(screen: str) -> Look:
    # A tool's question first: what it shows may read like a dialog.
    if asked := question_in(screen, ASKS):
        return Look(sight=Sight.ASKING, asks=asked)
    lowest = "\n".join(screen.rstrip().split("\n")[-LOWEST:])
    found = next((dialog for dialog in DIALOGS if dialog.sign.search(lowest)), None)
    return found.look() if found else Look(sight=Sight.UNCLEAR)
