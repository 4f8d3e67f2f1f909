"""Any agent that speaks the Agent Client Protocol over its standard streams (docs/acp.md)."""

from __future__ import annotations

from collections.abc import Sequence

from kokino.agents.drivers.contract import Command, Invocation, Reader

#: Flags by which agents that we know of ask nobody: Gemini CLI and Qwen Code, Claude Code, Codex, Copilot.
ASKS_NOBODY = ("yolo", "dangerously", "bypass", "allow-all")


class Acp:
    """Speaks with an agent while it runs. There is no CLI of this name: its command must be configured."""

    name = "acp"
    default_command: tuple[str, ...] = ()

    def command(self, invocation: Invocation) -> Command:
        """The command and its flags: session, model and prompt are told by the protocol."""
        return Command(argv=(*invocation.command, *invocation.flags), stdin=None)

    def reader(self, resumes: str | None = None) -> Reader:
        """A fresh dialogue."""
        # The protocol's models take a second to load: only those pay for it who use them.
        from kokino.agents.drivers.acp_dialogue import AcpDialogue  # noqa: PLC0415

        return AcpDialogue(resumes)

    def skips_permissions(self, flags: Sequence[str]) -> bool:
        """By the words that agents have for it; one with another word is not recognised."""
        return any(word in flag.lower() for flag in flags for word in ASKS_NOBODY)
