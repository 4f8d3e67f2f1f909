"""By which words a CLI is told to ask nobody, whatever its parser makes of them.

A parser takes more than its help tells: ``--approvalMode=yolo``, ``-y=true``, ``-dy``, ``--auto.x``. So words
are compared without dashes, underscores and case, and what cannot be read counts as the worst: one too many
costs an admin's token, one too few a broker's user.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

#: Variables that hold permissions or settings, name a file of them, or name a program that is started, by the
#: driver whose CLI reads them; found in the pinned versions. HOME and its likes choose an account, as the
#: folder chooses a project: what stands in those files is not looked at (SECURITY.md).
VARIABLES: Mapping[str, Collection[str]] = {
    "claude-code": (
        "CLAUDE_BG_SESSION_PERMISSION_RULES",
        "CLAUDE_CODE_MANAGED_SETTINGS_PATH",
        "CLAUDE_CODE_REMOTE_SETTINGS_PATH",
        "CLAUDE_CODE_SHELL_PREFIX",
    ),
    "codex": ("CODEX_EXEC_SERVER_URL", "CODEX_PERMISSION_PROFILE"),
    "factory-droid": (
        "FACTORY_EXEC_TARGET_AUTONOMY",
        "FACTORY_ORG_MANAGED_SETTINGS_LOCAL_PATH",
        "FACTORY_ORG_MANAGED_SETTINGS_URL",
        "FACTORY_RUNTIME_SETTINGS_PATH",
    ),
    "gemini": (
        "GEMINI_CLI_IDE_SERVER_STDIO_COMMAND",
        "GEMINI_CLI_SYSTEM_DEFAULTS_PATH",
        "GEMINI_CLI_SYSTEM_SETTINGS_PATH",
    ),
    "opencode": (
        "OPENCODE_CONFIG",
        "OPENCODE_CONFIG_CONTENT",
        "OPENCODE_CONFIG_DIR",
        "OPENCODE_PERMISSION",
    ),
    "qwen": (
        "QWEN_CODE_IDE_SERVER_STDIO_COMMAND",
        "QWEN_CODE_SYSTEM_DEFAULTS_PATH",
        "QWEN_CODE_SYSTEM_SETTINGS_PATH",
    ),
}  # fmt: skip
_WEAKENING = frozenset(name for names in VARIABLES.values() for name in names)


def is_weakened(env: Mapping[str, str]) -> bool:
    """True where a variable may let a CLI do anything unasked, its own or one that it starts."""
    return not _WEAKENING.isdisjoint(env)


def bare(text: str) -> str:
    """A text as it is compared: ``--danger_Full-access`` is ``dangerfullaccess``."""
    return re.sub("[-_]", "", text).lower()


def option(word: str) -> str:
    """The name of the option that a word gives, bare; empty where it gives none."""
    return bare(re.split("[=.]", word, maxsplit=1)[0]) if word.startswith("-") else ""


def has_option(flags: Sequence[str], names: Collection[str]) -> bool:
    """True where an option is given by one of these bare names."""
    return any(option(word) in names for word in flags)


def says(flags: Sequence[str], text: str) -> bool:
    """True where this bare text stands in any word, be it an option or a value."""
    return any(text in bare(word) for word in flags)


def has_letter(flags: Sequence[str], letter: str) -> bool:
    """True where an option may be given by its letter, alone or among others: ``-y``, ``-dy=true``."""
    return any(re.match(f"-(?!-)[^=]*{letter}", word) for word in flags) or has_option(flags, {letter})


def values_of(flags: Sequence[str], name: str, letter: str | None = None) -> Iterator[str]:
    """All that is given to an option: behind ``=``, as the next word, or glued to its letter."""
    for at, word in enumerate(flags):
        following = "".join(flags[at + 1 : at + 2])
        if letter and word == f"-{letter}":
            yield following
        elif letter and word.startswith(f"-{letter}"):
            yield word[2:].removeprefix("=")
        elif option(word) == name:
            yield word.partition("=")[2] if "=" in word else following
