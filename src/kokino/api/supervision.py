"""``/api/health/supervision``: what holds executions together here, and whether it can."""

from __future__ import annotations

from pydantic import Field

from kokino.api.environment import CheckShape
from kokino.api.routing import router_of
from kokino.api.services import Given, Services
from kokino.api.shapes import Shape, Time, megabytes
from kokino.doctor.model import Supervision
from kokino.process import cgroup, tree
from kokino.process.client import Warden
from kokino.process.promises import CGROUP, TREE_WALK
from kokino.process.tmux.server import LAUNCH

router = router_of("health")


class SelfCheckShape(Shape):
    """What the machine promises executions."""

    #: True when nothing is missing that supervision needs.
    passed: bool
    #: How trees are held together and measured: ``cgroup`` or ``tree walk``.
    tier: str
    checks: list[CheckShape]
    #: What works still, but not as it could.
    warnings: list[str]
    #: When it was tried.
    timestamp: Time


class WardenShape(Shape):
    """The process that owns every CLI."""

    pid: int
    #: ``serving``, or ``replaced`` while it does not and another one is tried for.
    state: str
    #: Why nothing can be started now; null while it serves.
    fault: str | None
    #: Its own resident memory; null when it is gone.
    memory_mb: float | None = Field(alias="memoryMB")


class CgroupShape(Shape):
    """The control groups of executions."""

    #: The folder in which each gets one.
    path: str
    #: What the kernel limits in them: ``memory``, ``pids``, both or nothing.
    limits: list[str]


class LoadShape(Shape):
    """What runs, as the warden last saw it."""

    executions: int
    processes: int
    #: Resident memory; pages that processes share count once for each.
    memory_mb: float | None = Field(alias="memoryMB")


class SupervisionShape(SelfCheckShape):
    """The same, with what is at work."""

    warden: WardenShape
    #: Null where trees are walked alone.
    cgroup: CgroupShape | None
    running: LoadShape


@router.get("/api/health/supervision")
async def supervision(given: Given, *, fresh: bool = False) -> SupervisionShape:
    """What this machine promises executions, as it was tried up to ten minutes ago, and what runs them.

    With `fresh` it is tried anew.
    """
    found = await given.supervision.found(is_fresh=fresh)
    groups = given.warden.cgroup
    return SupervisionShape(
        **dict(self_check_shape(found))
        | {
            "passed": found.passed and given.warden.fault is None,
            "tier": TREE_WALK if groups is None else CGROUP,
            "warnings": _warnings(found, given.warden),
        },
        warden=_warden(given.warden),
        cgroup=None
        if groups is None
        else CgroupShape(path=str(groups), limits=list(cgroup.handed_down(groups))),
        running=_running(given),
    )


def self_check_shape(found: Supervision) -> SelfCheckShape:
    """What was found, as it is told."""
    return SelfCheckShape(
        passed=found.passed,
        tier=found.tier,
        checks=[CheckShape.model_validate(check) for check in found.checks],
        warnings=[],
        timestamp=found.checked_at,
    )


def _warnings(found: Supervision, warden: Warden) -> list[str]:
    said = []
    if (fault := warden.fault) is not None:
        said.append(f"no execution starts, for the warden is at fault: {fault}")
    elif found.tier == CGROUP and warden.cgroup is None:
        said.append("control groups can be had, but the warden uses none; warden.log tells why")
    return said


def _warden(warden: Warden) -> WardenShape:
    stat, fault = tree.read_stat(warden.pid), warden.fault
    return WardenShape(
        pid=warden.pid,
        state="serving" if fault is None else "replaced",
        fault=fault,
        memory_mb=megabytes(stat.resident_bytes if stat else None),
    )


def _running(given: Services) -> LoadShape:
    samples = list(given.warden.samples.values())
    return LoadShape(
        executions=len(given.warden.running.keys() - {LAUNCH}),
        processes=sum(sample.processes for sample in samples),
        memory_mb=megabytes(sum(sample.resident_bytes for sample in samples)),
    )
