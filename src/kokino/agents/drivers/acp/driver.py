"""Any agent that speaks the Agent Client Protocol over its standard streams (docs/acp.md)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kokino.agents.drivers.contract import Command, Driver, Invocation, Reader
from kokino.agents.drivers.needs import Needs

#: Words, without what stands between them, by which agents that we know of are told to ask nobody: Gemini CLI
#: and Qwen Code, Claude Code, Codex, Droid, Copilot.
ASKS_NOBODY = ("yolo", "danger", "bypass", "allowall", "skippermission")
#: ``-y`` of Gemini CLI and Qwen Code, alone, among other letters, or with a value.
SHORT = re.compile(r"-[a-z]*y[a-z]*(=.*)?", re.IGNORECASE)
#: Name a file or a setting that may say the same, in a language that only the agent reads.
SETTINGS = re.compile("-c|--(?i:config|settings|profile)")


class Acp:
    """Speaks with an agent while it runs. There is no CLI of this name: its command must be configured."""

    name = "acp"
    default_command: tuple[str, ...] = ()
    #: Its command may be any program, of which nothing is known.
    needs = Needs(dry_run=None)

    def __init__(self, others: Sequence[Driver] = ()) -> None:
        #: The drivers of agents that may be meant by the command.
        self._others = others

    def command(self, invocation: Invocation) -> Command:
        """The command and its flags: session, model and prompt are told by the protocol."""
        return Command(argv=(*invocation.command, *invocation.flags), stdin=None)

    def reader(self, resumes: str | None = None) -> Reader:
        """A fresh dialogue."""
        # The protocol's models take a second to load: only those pay for it who use them.
        from kokino.agents.drivers.acp.dialogue import AcpDialogue  # noqa: PLC0415

        return AcpDialogue(resumes)

    def skips_permissions(self, flags: Sequence[str]) -> bool:
        """By all words that agents have for it, and by flags that cannot be read; one too many does no harm.

        Which agent it is cannot be told from a command, a wrapper may have any name. So whatever would skip
        permissions for one does so for all.
        """
        return any(map(_may_ask_nobody, flags)) or any(
            other.skips_permissions(spelling) for other in self._others for spelling in (flags, _plain(flags))
        )


def _may_ask_nobody(flag: str) -> bool:
    letters = re.sub("[^a-z0-9]", "", flag.lower())
    return (
        any(word in letters for word in ASKS_NOBODY)
        or SHORT.fullmatch(flag) is not None
        or SETTINGS.match(flag) is not None
    )


def _plain(flags: Sequence[str]) -> list[str]:
    """``--skipPermissions`` and ``--SKIP_PERMISSIONS`` as ``--skip-permissions``: parsers take them alike."""
    return [re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", flag).replace("_", "-").lower() for flag in flags]
