"""Claude Code, headless: ``claude -p`` with stream-json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from kokino.agents.drivers.contract import Command, Invocation, Reader
from kokino.agents.drivers.needs import InFile, InVariable, Needs
from kokino.agents.drivers.spellings import says, values_of
from kokino.agents.drivers.stream_json import StreamJsonReader

#: What ``--settings`` may say without anybody's leave. Any other may hold permissions, or name a program.
HARMLESS_SETTINGS = frozenset({"cleanupPeriodDays", "effortLevel", "model", "outputStyle"})

#: It neither updates itself nor reports to anybody.
QUIET: Mapping[str, str] = MappingProxyType(
    {"DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
)


class ClaudeCode:
    """Drives Claude Code 2.x. Flags that skip permissions are used only where somebody configured them."""

    name = "claude-code"
    default_command: tuple[str, ...] = ("claude",)
    needs = Needs(
        package="@anthropic-ai/claude-code",
        oldest="2.0.0",
        logins=(
            InVariable("ANTHROPIC_API_KEY"),
            InVariable("ANTHROPIC_AUTH_TOKEN"),
            InVariable("CLAUDE_CODE_OAUTH_TOKEN"),
            InVariable("CLAUDE_CODE_USE_BEDROCK"),
            InVariable("CLAUDE_CODE_USE_VERTEX"),
            InVariable("CLAUDE_CODE_USE_FOUNDRY"),
            InFile(
                path=".claude/.credentials.json",
                moved_by="CLAUDE_CONFIG_DIR",
                home_part=".claude",
                key=("claudeAiOauth",),
                expiry="expiresAt",
                renewal="refreshToken",
            ),
            InFile(
                path=".claude/settings.json",
                moved_by="CLAUDE_CONFIG_DIR",
                home_part=".claude",
                key=("apiKeyHelper",),
            ),
            *(
                InFile(
                    path=".claude/settings.json",
                    moved_by="CLAUDE_CONFIG_DIR",
                    home_part=".claude",
                    key=("env", name),
                )
                for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_USE_BEDROCK")
            ),
            InFile(path=".claude.json", moved_by="CLAUDE_CONFIG_DIR", key=("primaryApiKey",)),
        ),
        login_command="claude auth login",
    )

    def command(self, invocation: Invocation) -> Command:
        """A ``claude -p`` that reads its prompt from standard input, and neither updates nor reports."""
        return Command(
            argv=arguments(invocation),
            stdin=invocation.prompt_file,
            env=QUIET,
        )

    def reader(self, resumes: str | None = None) -> Reader:
        """A fresh reader of the stream-json dialect."""
        return StreamJsonReader(resumes)

    def skips_permissions(self, flags: Sequence[str]) -> bool:
        """``--dangerously-skip-permissions`` and its likes."""
        return skips_permissions(flags)


def arguments(invocation: Invocation) -> tuple[str, ...]:
    """The argv that Claude Code, and whatever takes its arguments, is started with."""
    return (
        *invocation.command,
        "-p",
        # stream-json is refused without --verbose.
        *("--output-format", "stream-json", "--verbose"),
        *session_arguments(invocation),
        *invocation.flags,
    )


def session_arguments(invocation: Invocation) -> tuple[str, ...]:
    """Which session, and which model."""
    session = "--resume" if invocation.is_resume else "--session-id"
    model = ("--model", invocation.model) if invocation.model else ()
    return (session, invocation.session_id, *model)


def skips_permissions(flags: Sequence[str]) -> bool:
    """True where Claude Code is told to ask nobody; its other permission modes still refuse something.

    So may settings, which it takes from a file, too, and helpers of an agent's own, each with a mode.
    """
    settings = [_read(value) for value in values_of(flags, "settings")]
    helpers = [json.dumps(_read(value)) for value in values_of(flags, "agents")]
    return (
        says([*flags, *helpers], "dangerouslyskippermissions")
        or says([*flags, *helpers], "bypasspermissions")
        or "null" in helpers
        or any(one is None or not HARMLESS_SETTINGS.issuperset(one) for one in settings)
    )


def _read(value: str) -> dict[str, Any] | None:
    """The JSON object in a value; None where it holds none, but the name of a file."""
    try:
        read = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None
