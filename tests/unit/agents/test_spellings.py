"""Every spelling by which a CLI is told to ask nobody, and those that look alike and are not."""

from __future__ import annotations

import json

import pytest

from kokino.agents.drivers.registry import DRIVERS
from kokino.agents.drivers.spellings import VARIABLES, is_weakened

#: By driver and by flag, as docs/drivers.md names it, what its CLI takes for that: seen with the pinned
#: versions, or so by the rules of its parser (commander, clap, yargs).
UNASKED: dict[str, dict[str, tuple[tuple[str, ...], ...]]] = {
    "claude-code": {
        "--dangerously-skip-permissions": (("--dangerously-skip-permissions",),),
        "--allow-dangerously-skip-permissions": (("--allow-dangerously-skip-permissions",),),
        "--permission-mode=bypassPermissions": (
            ("--permission-mode", "bypassPermissions"),
            ("--permission-mode=bypassPermissions",),
        ),
        "--settings": (
            ("--settings", "/home/somebody/settings.json"),
            ("--settings=settings.json",),
            ("--settings", '{"permissions": {"defaultMode": "bypassPermissions"}}'),
            ("--settings", r'{"permissions": {"defaultMode": "bypass\u0050ermissions"}}'),
            ("--settings", r'{"\u0070ermissions": {"allow": ["Bash"]}}'),
            ('--settings={"hooks": {}}',),
            ("--settings", "[]"),
            ("--settings",),
        ),
        "--agents": (
            ("--agents", '{"a": {"permissionMode": "bypassPermissions"}}'),
            ("--agents", r'{"a": {"permissionMode": "bypass\u0050ermissions"}}'),
            ("--agents", "no object"),
        ),
    },
    "codex": {
        "--dangerously-bypass-approvals-and-sandbox": (("--dangerously-bypass-approvals-and-sandbox",),),
        "--yolo": (("--yolo",),),
        "--sandbox=danger-full-access": (
            ("--sandbox", "danger-full-access"),
            ("--sandbox=danger-full-access",),
            ("-s", "danger-full-access"),
            ("-sdanger-full-access",),
            ("-s=danger-full-access",),
        ),
        "-c": (
            ("-c", "sandbox_mode=danger-full-access"),
            ("-c", 'sandbox_mode="danger-full-access"'),
            ("-c", "sandbox_mode='danger-full-access'"),
            ("-c", r'sandbox_mode="danger\u002dfull-access"'),
            ("-c", 'sandbox_mode = """danger-full-access"""'),
            ("-c", "sandbox_mode=["),
            (r'-csandbox_mode="danger\u002dfull-access"',),
            (r'-c=sandbox_mode="danger\u002dfull-access"',),
            ("--config", r'sandbox_mode="danger\u002dfull-access"'),
            (r'--config=sandbox_mode="danger\u002dfull-access"',),
            ("-c", 'sandbox_workspace_write.writable_roots=["/"]'),
            ("-c", "default_permissions=all"),
            ("-c",),
        ),
        "--profile": (("--profile", "loose"), ("--profile=loose",), ("-p", "loose"), ("-ploose",)),
        "--approve-for-me": (("--approve-for-me",),),
        "--ignore-rules": (("--ignore-rules",),),
        "--trust": (("--trust",),),
    },
    "factory-droid": {
        "--skip-permissions-unsafe": (("--skip-permissions-unsafe",), ("--skip-permissions-unsafe=true",)),
        "--settings": (("--settings", "settings.json"), ("--settings=settings.json",)),
    },
    "gemini": {
        "--yolo": (("--yolo",), ("--yolo=true",), ("--YOLO",), ("--yolo.x",)),
        "-y": (("-y",), ("-y=true",), ("-dy",), ("-dy=true",), ("--y",), ("--y=true",)),
        "--approval-mode=yolo": (
            ("--approval-mode", "yolo"),
            ("--approval-mode=yolo",),
            ("--approvalMode", "yolo"),
            ("--approvalMode=yolo",),
        ),
        "--policy": (("--policy", "all.toml"), ("--policy=all.toml",)),
        "--admin-policy": (("--admin-policy", "all.toml"), ("--adminPolicy=all.toml",)),
    },
    "opencode": {
        "--auto": (("--auto",), ("--auto=true",), ("--auto.x",)),
        "--yolo": (("--yolo",), ("--yolo=true",)),
        "--dangerously-skip-permissions": (
            ("--dangerously-skip-permissions",),
            ("--dangerouslySkipPermissions",),
            ("--dangerouslySkipPermissions=true",),
        ),
    },
    "qwen": {
        "--yolo": (("--yolo",), ("--yolo=true",), ("--yolo.x",)),
        "-y": (("-y",), ("-y=true",), ("-dy",), ("-dy=true",), ("--y",)),
        "--approval-mode=yolo": (
            ("--approval-mode", "yolo"),
            ("--approval-mode=yolo",),
            ("--approvalMode", "yolo"),
            ("--approvalMode=yolo",),
        ),
    },
}
#: What leaves a CLI asking, or refusing.
ASKED: dict[str, tuple[tuple[str, ...], ...]] = {
    "claude-code": (
        ("--permission-mode", "acceptEdits"),
        ("--allowedTools", "Read"),
        ("--settings", '{"model": "opus"}'),
        ("--agents", json.dumps({"a": {"prompt": "Review."}})),
    ),
    "codex": (
        ("--sandbox", "workspace-write"),
        ("-s=read-only",),
        ("-c", "sandbox_mode=read-only"),
        ("-c", 'model_reasoning_effort="high"'),
        ("-C", "/srv/work"),
        ("--model", "gpt-5.2-codex"),
    ),
    "factory-droid": (("--auto", "high"), ("--only-tools", "Read")),
    "gemini": (("--approval-mode", "auto_edit"), ("--skip-trust",), ("-m", "gemini-3.8-flash")),
    "opencode": (("--agent", "auto"), ("--variant", "high")),
    "qwen": (("--approval-mode", "auto-edit"), ("--allowed-tools", "read_file")),
}


@pytest.mark.parametrize(
    ("name", "flags"),
    [(name, flags) for name, named in UNASKED.items() for every in named.values() for flags in every],
)
def test_whatever_makes_a_cli_ask_nobody_is_known(name: str, flags: tuple[str, ...]) -> None:
    """Alone and among others, and where a command may be any CLI's."""
    assert DRIVERS[name].skips_permissions(flags)
    assert DRIVERS[name].skips_permissions(("--model", "m", *flags))
    assert DRIVERS["acp"].skips_permissions(flags)


@pytest.mark.parametrize(
    ("name", "flags"), [(name, flags) for name, every in ASKED.items() for flags in every]
)
def test_other_flags_need_nobodys_leave(name: str, flags: tuple[str, ...]) -> None:
    """So that a token for agents is enough for them."""
    assert not DRIVERS[name].skips_permissions(flags)


def test_no_flags_are_no_leave() -> None:
    """Of no driver."""
    assert not any(driver.skips_permissions(()) for driver in DRIVERS.values())


@pytest.mark.parametrize("variable", [variable for names in VARIABLES.values() for variable in names])
def test_a_variable_that_holds_permissions_weakens_them(variable: str) -> None:
    """Whatever it says, and whatever stands beside it."""
    assert is_weakened({"PATH": "/usr/bin", variable: ""})
    assert not is_weakened({"PATH": "/usr/bin", "HOME": "/home/agent", f"MY_{variable}": "x"})
