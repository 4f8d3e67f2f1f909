"""Which CLI is worked how in a terminal."""

from __future__ import annotations

from kokino.agents.drivers import codex_failures, factory_droid, gemini_failures, opencode_failures, qwen
from kokino.agents.drivers.claude_code import session_arguments
from kokino.agents.drivers.contract import Interactive, Invocation
from kokino.agents.drivers.signs import kind_in
from kokino.agents.drivers.terminal import codex as codex_screen
from kokino.agents.drivers.terminal import gemini as gemini_screen
from kokino.agents.drivers.terminal import qwen as qwen_screen
from kokino.agents.drivers.terminal.claude_code import ClaudeCodeTerminal
from kokino.agents.drivers.terminal.screen import ScreenForm
from kokino.agents.drivers.terminal.scripted import ScriptedTerminal
from kokino.agents.failures import FailureKind


def _codex(invocation: Invocation) -> tuple[str, ...]:
    resumed = ("resume", invocation.session_id) if invocation.is_resume else ()
    return (*resumed, "-c", "analytics.enabled=false", *_model(invocation))


def _opencode(invocation: Invocation) -> tuple[str, ...]:
    resumed = ("--session", invocation.session_id) if invocation.is_resume else ()
    return (*resumed, *_model(invocation))


def _model(invocation: Invocation) -> tuple[str, ...]:
    return ("--model", invocation.model) if invocation.model else ()


def _droids(line: str) -> FailureKind | None:
    """By its sentences alone: a number that an answer begins with is no HTTP status."""
    return kind_in(line, factory_droid.SENTENCES)


#: By driver. The Agent Client Protocol is no form of a CLI that a person works: it has none here.
FORMS: dict[str, Interactive] = {
    "claude-code": ClaudeCodeTerminal(),
    "scripted": ScriptedTerminal(),
    "codex": ScreenForm(
        arguments=_codex,
        names_sessions=True,
        kind_of=codex_failures.kind_of_text,
        layout=codex_screen.LAYOUT,
    ),
    "factory-droid": ScreenForm(
        arguments=_model,
        names_sessions=True,
        kind_of=_droids,
        env={"FACTORY_DROID_AUTO_UPDATE_ENABLED": "false"},
    ),
    "gemini": ScreenForm(
        arguments=session_arguments,
        kind_of=gemini_failures.kind_of_text,
        layout=gemini_screen.LAYOUT,
        env={"GEMINI_CLI_NO_RELAUNCH": "1"},
    ),
    "opencode": ScreenForm(
        arguments=_opencode,
        names_sessions=True,
        kind_of=opencode_failures.kind_of_text,
        env={"OPENCODE_DISABLE_AUTOUPDATE": "1"},
    ),
    "qwen": ScreenForm(
        arguments=session_arguments,
        kind_of=qwen.kind_of_text,
        layout=qwen_screen.LAYOUT,
        env={"QWEN_CODE_NO_RELAUNCH": "1"},
    ),
}


def form_of(driver: str) -> Interactive | None:
    """How a driver's CLI is worked in a terminal; None where it cannot be."""
    return FORMS.get(driver)


def is_guessed(driver: str) -> bool:
    """True where only the screen tells what the CLI does, whether or not its layout is known."""
    return isinstance(FORMS.get(driver), ScreenForm)
