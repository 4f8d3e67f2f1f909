"""``/api/hooks``: what other machines tell of their own accord, each with a token of the scope ``hook``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from kokino.alerts.received import Told
from kokino.api.routing import router_of
from kokino.api.services import Given
from kokino.api.shapes import Body, Shape, utc

router = router_of("alerts", prefix="/api/hooks")

#: Annotations that hold one line for people, the best first, as most rules that are shared call them.
SUMMARIES = ("summary", "description", "message")
#: Characters of it that are kept.
LONGEST_SUMMARY = 500


class _Foreign(Body):
    """A body whose form is somebody else's, who may add to it."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")


Name = Annotated[str, Field(min_length=1, max_length=200)]
Labels = Annotated[dict[Name, Annotated[str, Field(max_length=2_000)]], Field(min_length=1, max_length=64)]


class AlertmanagerAlert(_Foreign):
    """One alert of the message."""

    status: Literal["firing", "resolved"]
    labels: Labels
    annotations: dict[str, str] = Field(default_factory=dict)
    starts_at: datetime
    generator_url: Annotated[str, Field(alias="generatorURL")] = ""

    def told(self, now: datetime) -> Told:
        """What it says, heard at `now`."""
        url = self.generator_url
        is_link = url.startswith(("http://", "https://")) and len(url.split()) == 1
        return Told(
            labels=self.labels,
            is_firing=self.status == "firing",
            since=utc(self.starts_at),
            at=now,
            summary=summary(self.labels, self.annotations),
            link=url if is_link else None,
        )


class AlertmanagerMessage(_Foreign):
    """The body of Alertmanager's webhook, version 4.

    Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config.
    """

    version: Literal["4"]
    alerts: Annotated[list[AlertmanagerAlert], Field(max_length=10_000)]
    #: Alerts that were left out of the message: ``max_alerts`` of the receiver.
    truncated_alerts: Annotated[int, Field(ge=0)] = 0


class TakenShape(Shape):
    """What became of the message's alerts."""

    #: Those that began to fire, ended, or were repeated after an hour.
    noted: int
    #: Those of which nothing new was said.
    known: int
    #: This broker's own, which came back.
    own: int
    #: Those that the message left out: set ``max_alerts: 0`` for this receiver.
    truncated: int


@router.post("/alertmanager")
async def alertmanager(body: AlertmanagerMessage, given: Given) -> TakenShape:
    """Take what an Alertmanager tells: rules of the kind ``received`` make alerts of it. Idempotent."""
    now = given.clock.now()
    taken = await given.receiving.take([one.told(now) for one in body.alerts])
    return TakenShape(noted=taken.noted, known=taken.known, own=taken.own, truncated=body.truncated_alerts)


def summary(labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    """One line for people."""
    found = (" ".join(annotations.get(name, "").split()) for name in SUMMARIES)
    said = next(filter(None, found), None) or labels.get("alertname") or "it says nothing of itself"
    return said if len(said) <= LONGEST_SUMMARY else said[: LONGEST_SUMMARY - 1] + "…"
