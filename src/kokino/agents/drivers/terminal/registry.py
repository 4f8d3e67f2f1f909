"""Which CLI is worked how in a terminal."""

from __future__ import annotations

from kokino.agents.drivers.claude_code import session_arguments
from kokino.agents.drivers.contract import Interactive, Invocation
from kokino.agents.drivers.terminal.claude_code import ClaudeCodeTerminal
from kokino.agents.drivers.terminal.screen import ScreenForm
from kokino.agents.drivers.terminal.scripted import ScriptedTerminal


def _codex(invocation: Invocation) -> tuple[str, ...]:
    resumed = ("resume", invocation.session_id) if invocation.is_resume else ()
    return (*resumed, "-c", "analytics.enabled=false", *_model(invocation))


def _opencode(invocation: Invocation) -> tuple[str, ...]:
    resumed = ("--session", invocation.session_id) if invocation.is_resume else ()
    return (*resumed, *_model(invocation))


def _model(invocation: Invocation) -> tuple[str, ...]:
    return ("--model", invocation.model) if invocation.model else ()


#: By driver. The Agent Client Protocol is no form of a CLI that a person works: it has none here.
FORMS: dict[str, Interactive] = {
    "claude-code": ClaudeCodeTerminal(),
    "scripted": ScriptedTerminal(),
    "codex": ScreenForm(arguments=_codex, names_sessions=True),
    "factory-droid": ScreenForm(
        arguments=_model, names_sessions=True, env={"FACTORY_DROID_AUTO_UPDATE_ENABLED": "false"}
    ),
    "gemini": ScreenForm(arguments=session_arguments, env={"GEMINI_CLI_NO_RELAUNCH": "1"}),
    "opencode": ScreenForm(
        arguments=_opencode, names_sessions=True, env={"OPENCODE_DISABLE_AUTOUPDATE": "1"}
    ),
    "qwen": ScreenForm(arguments=session_arguments, env={"QWEN_CODE_NO_RELAUNCH": "1"}),
}


def form_of(driver: str) -> Interactive | None:
    """How a driver's CLI is worked in a terminal; None where it cannot be."""
    return FORMS.get(driver)


def is_guessed(driver: str) -> bool:
    """True where only the screen tells what the CLI does, and nothing is known of its screen."""
    return isinstance(FORMS.get(driver), ScreenForm)
