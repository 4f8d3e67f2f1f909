"""Which flags of an agent behind the Agent Client Protocol let it do anything unasked."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kokino.agents.drivers.acp.driver import Acp
from kokino.agents.drivers.needs import Needs
from kokino.agents.drivers.registry import CLIS, DRIVERS

ACP = DRIVERS["acp"]


@pytest.mark.parametrize(
    "flags",
    [
        ("--acp", "-y"),
        ("-dy",),
        ("-y=true",),
        ("--yolo",),
        ("--approval-mode", "yolo"),
        ("acp", "--auto"),
        ("--skip-permissions-unsafe",),
        ("--skipPermissionsUnsafe",),
        ("--SKIP_PERMISSIONS_UNSAFE",),
        ("--dangerouslySkipPermissions",),
        ("--permission-mode", "bypassPermissions"),
        ("--permission-mode=bypass-permissions",),
        ("--sandbox", "danger-full-access"),
        ("--dangerously-bypass-approvals-and-sandbox",),
        ("--allow-all-tools",),
        ("-c", "sandbox_mode=danger-full-access"),
        ("-c", 'sandbox_mode="d\\u0061nger-full-access"'),
        ("-capproval_policy=never",),
        ("--config", "x=1"),
        ("--config-file=x",),
        ("--settings", "{}"),
        ("--profile=mine",),
    ],
)
def test_a_flag_that_may_skip_permissions_is_seen(flags: tuple[str, ...]) -> None:
    """By any CLI's word in any spelling, or because nobody but the agent can read what it says."""
    assert ACP.skips_permissions(flags)


@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("--acp",),
        ("acp", "--print-logs"),
        ("--approval-mode", "plan"),
        ("--model", "family-large"),
        ("-I", "-S", "/opt/agents/scripted_acp_agent.py"),
        ("--continue", "--verbose"),
    ],
)
def test_other_flags_need_no_admin(flags: tuple[str, ...]) -> None:
    """Whoever may register agents may choose what an agent is asked with."""
    assert not ACP.skips_permissions(flags)


class Fussy:
    """The flag of a CLI that this driver knows nothing of."""

    name = "fussy"
    default_command: tuple[str, ...] = ("fussy",)
    needs = Needs()
    command = CLIS[0].command
    reader = CLIS[0].reader

    def skips_permissions(self, flags: Sequence[str]) -> bool:
        """Its one word."""
        return "--no-questions" in flags


@pytest.mark.parametrize("flag", ["--no-questions", "--noQuestions", "--NO_QUESTIONS"])
def test_every_other_driver_is_asked_for_its_own_words(flag: str) -> None:
    """A new CLI's flags are seen here, too, as soon as it has a driver."""
    assert Acp([*CLIS, Fussy()]).skips_permissions([flag])
    assert not Acp(CLIS).skips_permissions([flag])
