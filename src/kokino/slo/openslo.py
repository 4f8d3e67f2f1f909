"""OpenSLO v1 files as objectives: the part of the format that we use (https://github.com/OpenSLO/OpenSLO)."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from kokino.clock import MILLISECOND
from kokino.config import Length, Settings
from kokino.errors import Fault
from kokino.slo.model import Objective, Objectives, SloId
from kokino.slo.yamlfile import YamlFile, parse, read
from kokino.slo.yamlfolder import SUFFIX, texts
from kokino.telemetry.histogram import EXACT_EDGES

#: Folder in the package, and in a home.
SHIPPED_FOLDER = "objectives"
HOME_FOLDER = "slo"


class _Metadata(Settings):
    name: SloId
    display_name: str = Field("", alias="displayName")
    labels: dict[str, Any] = Field(default_factory=dict)
    annotations: dict[str, Any] = Field(default_factory=dict)


class _TimeWindow(Settings):
    duration: Length
    is_rolling: Literal[True] = Field(alias="isRolling")


class _Promise(Settings):
    display_name: str = Field("", alias="displayName")
    #: 1 is a budget of nothing: any fault breaks the promise.
    target: float = Field(gt=0, le=1)
    op: Literal["lte"] | None = None
    #: In seconds.
    value: float | None = Field(None, gt=0)


class _IndicatorSpec(BaseModel):
    """What is measured is fixed by the SLO's name; here we only look that the kind of metric fits."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    ratio_metric: dict[str, Any] | None = Field(None, alias="ratioMetric")
    threshold_metric: dict[str, Any] | None = Field(None, alias="thresholdMetric")


class _Indicator(Settings):
    metadata: dict[str, Any] = Field(default_factory=dict)
    spec: _IndicatorSpec


class _Spec(Settings):
    description: str = ""
    service: str
    budgeting_method: Literal["Occurrences"] = Field(alias="budgetingMethod")
    time_window: list[_TimeWindow] = Field(alias="timeWindow", min_length=1, max_length=1)
    indicator: _Indicator
    objectives: list[_Promise] = Field(min_length=1, max_length=1)


class _Document(Settings):
    api_version: Literal["openslo/v1"] = Field(alias="apiVersion")
    kind: Literal["SLO"]
    metadata: _Metadata
    spec: _Spec


def read_objective(name: str, text: str, faults: list[Fault]) -> Objective | None:
    """The objective in an OpenSLO file; None when it has faults, which are then in `faults`."""
    file = parse(name, text, faults)
    document = None if file is None else read(file, _Document, faults)
    if file is None or document is None:
        return None
    found = _threshold_faults(file, document)
    faults.extend(found)
    return None if found else _objective(document)


def load_objectives(home: Path | None, faults: list[Fault]) -> Objectives | None:
    """All objectives; ``<home>/slo/NAME.yaml`` takes the place of the shipped file of that name.

    None when a file has faults, which are then in `faults`.
    """
    own = None if home is None else home / HOME_FOLDER
    found: dict[str, Objective] = {}
    before = len(faults)
    for each in texts(files("kokino.slo") / SHIPPED_FOLDER, own, faults):
        objective = read_objective(each.name, each.text, faults)
        if objective is not None and objective.id != each.stem:
            said = f"must be the name of the file without {SUFFIX}, {each.stem!r}"
            faults.append(Fault(field="metadata.name", message=said, file=each.name))
        elif objective is not None:
            found[objective.id.value] = objective
    return None if len(faults) > before else Objectives(**found)


def _threshold_faults(file: YamlFile, document: _Document) -> list[Fault]:
    """Latency needs a threshold that is counted exactly; a ratio has none."""
    [promise] = document.spec.objectives
    at = ("spec", "objectives", 0, "value")
    if document.metadata.name is not SloId.LATENCY:
        return [] if promise.value is None else [file.fault(at, "belongs to a thresholdMetric only")]
    if document.spec.indicator.spec.threshold_metric is None:
        return [file.fault(["spec", "indicator", "spec"], "must hold a thresholdMetric")]
    if promise.value is None or promise.value * 1000 not in EXACT_EDGES:
        exact = ", ".join(f"{edge / 1000:g}" for edge in EXACT_EDGES)
        return [file.fault(at, f"must be one of the seconds that are counted exactly: {exact}")]
    return []


def _objective(document: _Document) -> Objective:
    [promise], [window] = document.spec.objectives, document.spec.time_window
    return Objective(
        id=document.metadata.name,
        target=promise.target,
        window=window.duration,
        threshold=None if promise.value is None else promise.value * 1000 * MILLISECOND,
    )
