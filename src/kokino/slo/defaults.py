"""The objectives that hold when no file says otherwise."""

from __future__ import annotations

from datetime import timedelta
from functools import cache

from kokino.slo.model import Objective, Objectives, SloId
from kokino.slo.openslo import packaged

#: Service levels that nothing feeds yet: their targets are shown, with no data.
CORRECTNESS = Objective(id=SloId.CORRECTNESS, target=0.95, window=timedelta(days=30))
INTEGRITY = Objective(id=SloId.INTEGRITY, target=1.0, window=timedelta(days=30))
RESOURCES = Objective(id=SloId.RESOURCES, target=0.80, window=timedelta(hours=24))


@cache
def defaults() -> Objectives:
    """What is promised for each service level."""
    return Objectives(
        availability=packaged(SloId.AVAILABILITY),
        latency=packaged(SloId.LATENCY),
        correctness=CORRECTNESS,
        integrity=INTEGRITY,
        resources=RESOURCES,
    )
