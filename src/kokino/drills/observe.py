"""Look at a broker from outside: what its API and the receivers of its messages show at one moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from kokino.errors import KokinoError
from kokino.testing.receivers import PagerIncident, RecordingPagerDuty, RecordingSlack

#: The alert that is looked for.
RULE = "availability-slo-breach"
#: More executions than end between two looks.
LATEST = 60
#: The label of the broker's own questions to a disabled CLI type.
PROBE = "probe"


class NotObservable(KokinoError):
    """The broker did not answer, or not with what its API promises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that was seen at one moment. Mappings are the API's own answers, in its words."""

    #: The broker's own time.
    at: datetime
    #: ``availability`` of ``/api/slo/status``.
    availability: Mapping[str, Any]
    #: The alert with its reasons, once there is one.
    alert: Mapping[str, Any] | None = None
    #: The newest incident with its timeline.
    incident: Mapping[str, Any] | None = None
    #: The incident's playbook run with its steps.
    run: Mapping[str, Any] | None = None
    fallback: Mapping[str, Any] = field(default_factory=dict)
    #: ``/agents/sessions/status`` of the fleet's agents.
    agents: Sequence[Mapping[str, Any]] = ()
    #: All that ended since the first look, probes too, in the order of their ends.
    executions: Sequence[Mapping[str, Any]] = ()
    #: What PagerDuty shows.
    pages: Sequence[PagerIncident] = ()
    #: What was posted to Slack, each as the lines that people read.
    posts: Sequence[tuple[str, ...]] = ()
    #: The incident's review document.
    document: str | None = None

    def entries(self, kind: str) -> list[Mapping[str, Any]]:
        """The incident's timeline entries of a kind, oldest first."""
        timeline = self.incident["timeline"] if self.incident else []
        return [entry for entry in timeline if entry["kind"] == kind]

    def disabled(self, cli_type: str) -> Mapping[str, Any] | None:
        """How and since when a CLI type is out of use; None while it is in use."""
        found = [one for one in self.fallback.get("disabledCLIs", []) if one["cli"] == cli_type]
        return found[0] if found else None

    def pauses(self, scope: str) -> list[Mapping[str, Any]]:
        """What is paused in a scope: ``account``."""
        return [pause for pause in self.fallback.get("pauses", []) if pause["scope"] == scope]

    def traffic(self, *, since: datetime | None = None) -> list[Mapping[str, Any]]:
        """Ended executions that people asked for, those that were queued at or after `since`."""
        return [
            one
            for one in self.executions
            if one["label"] is None and (since is None or instant(one["queuedAt"]) >= since)
        ]

    def probes(self, cli_type: str) -> list[Mapping[str, Any]]:
        """Ended probes of a CLI type."""
        return [one for one in self.executions if one["label"] == PROBE and one["cliType"] == cli_type]

    def in_words(self) -> str:
        """What there was to see, for the message that something else was missing."""
        ended = Counter(one["kind"] or one["state"] for one in self.traffic())
        counted = ", ".join(f"{number} {what}" for what, number in ended.most_common()) or "none"
        alert = f"{RULE} is {self.alert['state']}" if self.alert else f"{RULE} has never been active"
        away = ", ".join(one["cli"] for one in self.fallback.get("disabledCLIs", [])) or "none"
        ended_so = f"executions that ended: {counted}; {alert}"
        return f"{ended_so}; CLI types out of use: {away}; {self._incident_in_words()}"

    def _incident_in_words(self) -> str:
        if self.incident is None:
            return "no incident"
        last = self.incident["timeline"][-1]
        return f"{self.incident['id']} is {self.incident['state']}, its last entry: {last['text']}"


class Observer:
    """Looks again and again, and keeps in mind what the API shows only for a while."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        agents: Sequence[str],
        pagerduty: RecordingPagerDuty,
        slack: RecordingSlack,
    ) -> None:
        self._http = http
        self._agents = frozenset(agents)
        self._pagerduty = pagerduty
        self._slack = slack
        self._ended: dict[str, Mapping[str, Any]] = {}
        self._run: Mapping[str, Any] | None = None

    async def look(self) -> Facts:
        """What there is to see now. Raises `NotObservable`."""
        try:
            return await self._look()
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise NotObservable(
                f"the broker did not answer as promised: {type(error).__name__}: {error}"
            ) from error

    async def _look(self) -> Facts:
        status = await self._get("/api/slo/status")
        incident = await self._newest_incident()
        agents = await self._get("/agents/sessions/status")
        await self._collect_executions()
        return Facts(
            at=instant(status["timestamp"]),
            availability=status["availability"],
            alert=await self._alert(),
            incident=incident,
            run=await self._newest_run(incident),
            fallback=await self._get("/api/fallback/status"),
            agents=[agent for agent in agents if agent["agentId"] in self._agents],
            executions=sorted(self._ended.values(), key=lambda one: instant(one["endedAt"])),
            pages=tuple(self._pagerduty.incidents),
            posts=[post_lines(payload) for payload in self._slack.messages],
            document=await self._document(incident),
        )

    async def _alert(self) -> Mapping[str, Any] | None:
        for alert in await self._get("/api/alerts"):
            if alert["ruleId"] == RULE:
                found: Mapping[str, Any] = await self._get(f"/api/alerts/{alert['alertId']}")
                return found
        return None

    async def _newest_incident(self) -> Mapping[str, Any] | None:
        items = (await self._get("/api/incidents?limit=1"))["items"]
        return await self._get(f"/api/incidents/{items[0]['id']}") if items else None

    async def _newest_run(self, incident: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """The run, read in full only when it has come to another state: it carries every step's output."""
        if incident is None or not incident["playbookRuns"]:
            return None
        [newest] = (await self._get("/api/playbook-runs?limit=1"))["items"]
        if self._run is None or self._run["state"] != newest["state"]:
            self._run = await self._get(f"/api/playbook-runs/{newest['runId']}")
        return self._run

    async def _collect_executions(self) -> None:
        page = await self._get(f"/executions?limit={LATEST}")
        for execution in page["items"]:
            if execution["endedAt"] is not None:
                self._ended[execution["executionId"]] = execution

    async def _document(self, incident: Mapping[str, Any] | None) -> str | None:
        """The review document; None until it is written, which comes after the resolve."""
        if incident is None or incident["resolvedAt"] is None:
            return None
        answer = await self._http.get(f"/api/incidents/{incident['id']}/document")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        return answer.raise_for_status().text

    async def _get(self, path: str) -> Any:
        answer = await self._http.get(path)
        return answer.raise_for_status().json()


def instant(text: str) -> datetime:
    """The instant that the API wrote."""
    return datetime.fromisoformat(text)


def post_lines(payload: Mapping[str, Any]) -> tuple[str, ...]:
    """What people read in a Slack message, a line each: its header, then its sections."""
    lines: list[str] = []
    for block in payload.get("blocks", []):
        if block["type"] in {"header", "section"}:
            lines += block["text"]["text"].splitlines()
    return tuple(lines or [str(payload.get("text", ""))])
