"""Every route answers in the shape that its users rely on, and OpenAPI lists them all."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from kokino.shadow import store
from kokino.shadow.model import Run, Verdict
from tests.acceptance.outage import Outage, outage
from tests.unit.shadow.given import comparison

#: An instant in an answer: UTC, with a Z.
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
NUMBER = (int, float)
MAYBE_TEXT = (str, type(None))
MAYBE_NUMBER = (int, float, type(None))


class Null:
    """Either nothing, or what it holds."""

    def __init__(self, shape: Any) -> None:
        self.shape = shape


def faults(value: Any, shape: Any, place: str = "$") -> Iterator[str]:
    """Where `value` has not at least `shape`: a type, a pattern, a list of one shape, these keys."""
    match shape:
        case Null():
            if value is not None:
                yield from faults(value, shape.shape, place)
        case re.Pattern():
            if not isinstance(value, str) or not shape.fullmatch(value):
                yield f"{place}: {value!r} is not like {shape.pattern}"
        case dict():
            if not isinstance(value, dict):
                yield f"{place}: {value!r} is no object"
                return
            for key, inner in shape.items():
                if key in value:
                    yield from faults(value[key], inner, f"{place}.{key}")
                else:
                    yield f"{place}: has no {key}"
        case [inner]:
            if not isinstance(value, list) or not value:
                yield f"{place}: {value!r} is no list with something in it"
                return
            for number, element in enumerate(value):
                yield from faults(element, inner, f"{place}[{number}]")
        case _:
            if not isinstance(value, shape) or (isinstance(value, bool) and shape is not bool):
                yield f"{place}: {value!r} is no {shape}"


AGENT = {
    "agentId": str,
    "cliType": str,
    "cwd": str,
    "mode": str,
    "model": MAYBE_TEXT,
    "env": list,
    "flags": list,
    "limits": {"timeoutMs": int, "idleMs": int, "graceMs": int, "queue": int, "queueTimeoutMs": int},
    "fallback": MAYBE_TEXT,
    "breakerFallback": (bool, type(None)),
    "account": str,
    "pool": str,
    "registeredAt": TIME,
}
EXECUTION = {
    "executionId": str,
    "agentId": str,
    "cliType": str,
    "account": str,
    "mode": str,
    "state": str,
    "kind": MAYBE_TEXT,
    "error": MAYBE_TEXT,
    "exitCode": MAYBE_NUMBER,
    "signal": MAYBE_NUMBER,
    "queuedAt": TIME,
    "startedAt": Null(TIME),
    "endedAt": Null(TIME),
    "durationMs": MAYBE_NUMBER,
    "usage": Null({"inputTokens": int, "outputTokens": int}),
    "costUsd": MAYBE_NUMBER,
}
CHECKED = {
    "checkId": str,
    "passed": bool,
    "damaged": bool,
    "timestamp": TIME,
    "durationMs": int,
    "conversations": int,
    "turns": int,
    "affected": int,
    "total": int,
    "accepted": int,
    "counts": dict,
    "repairable": dict,
    "allRepairable": bool,
    "wouldDelete": int,
    "mayDelete": int,
    "issues": list,
    "notChecked": list,
}
BACKUP = {"path": str, "why": str, "timestamp": TIME, "sizeBytes": int}
ANSWER = {
    "executionId": str,
    "conversationId": str,
    "content": str,
    "success": bool,
    "durationMs": int,
    "metadata": dict,
}
SESSION = {
    "agentId": str,
    "cliType": str,
    "sessionId": str,
    "conversationId": str,
    "turns": int,
    "createdAt": TIME,
    "usedAt": TIME,
    "ageMs": int,
    "inUse": bool,
}
#: Comparisons of shadow mode, one side of one, and its switch.
COMPARED = {
    "totals": dict.fromkeys(("comparisons", "matches", "mismatches", "notCompared", "regressions"), int),
    "rates": dict.fromkeys(
        ("match", "mismatch", "tmuxSuccess", "headlessSuccess", "regression"), MAYBE_NUMBER
    ),
    "matchedBy": dict,
    "mismatchedBy": dict,
    "notComparedFor": dict,
    "latency": {
        "tmux": {"count": int, "p95Ms": MAYBE_NUMBER},
        "headless": {"count": int, "p95Ms": MAYBE_NUMBER},
    },
    "resources": {"tmux": {"costUsd": MAYBE_NUMBER}, "headless": {"meanPeakMemoryMB": MAYBE_NUMBER}},
}
SIDE = {"executionId": MAYBE_TEXT, "state": str, "kind": MAYBE_TEXT, "durationMs": MAYBE_NUMBER}
SWITCH = {"enabled": bool, "reason": MAYBE_TEXT, "since": Null(TIME), "setBy": MAYBE_TEXT}
BUDGET = {"minutesTotal": NUMBER, "minutesRemaining": NUMBER, "consumed": NUMBER}
COUNTED = {
    "current": Null(NUMBER),
    "target": NUMBER,
    "breached": bool,
    "alertState": str,
    "state": str,
    "errorBudgetRemaining": Null(NUMBER),
    "window": {"days": NUMBER, "current": Null(NUMBER), "good": int, "total": int},
}
LEVEL = {"current": MAYBE_NUMBER, "target": NUMBER, "good": int, "total": int, "state": str}
FAILURES = {
    "failures": int,
    "total": int,
    "refused": int,
    "failureRate": NUMBER,
    "kinds": dict,
    "lastError": MAYBE_TEXT,
    "lastFailureAt": Null(TIME),
}
DIAGNOSIS = {
    "cliType": str,
    "passed": bool,
    "checks": [
        {
            "name": str,
            "passed": bool,
            "isRequired": bool,
            "message": str,
            "mend": MAYBE_TEXT,
            "isTried": bool,
        }
    ],
    "warnings": list,
    "timestamp": TIME,
    "ageMs": int,
}
ENVIRONMENT = {"overall": str, "results": [DIAGNOSIS], "machine": DIAGNOSIS["checks"]}
ALERT = {
    "alertId": str,
    "ruleId": str,
    "title": str,
    "severity": str,
    "owner": str,
    "labels": dict,
    "fingerprint": str,
    "state": str,
    "since": TIME,
    "firingAt": Null(TIME),
    "resolvedAt": Null(TIME),
    "acknowledgedAt": Null(TIME),
    "acknowledgedBy": MAYBE_TEXT,
    "quiet": Null({"why": str, "reason": str, "endsAt": Null(TIME), "by": str}),
}
WHY = {
    "why": [{"at": TIME, "fromState": str, "toState": str, "reason": str}],
    "present": {"fires": bool, "reason": str, "clears": bool, "clearReason": str, "dueAt": Null(TIME)},
    "escalation": {"state": str, "tier": Null(int), "reason": str, "dueAt": Null(TIME)},
}
SILENCE = {
    "silenceId": str,
    "matchers": [{"name": str, "value": str, "isRegex": bool}],
    "comment": str,
    "createdBy": str,
    "createdAt": TIME,
    "endsAt": TIME,
    "untilResolved": bool,
    "endedAt": Null(TIME),
    "active": bool,
}
INCIDENT = {
    "id": re.compile(r"INC-\d+"),
    "title": str,
    "severity": str,
    "owner": str,
    "labels": dict,
    "state": str,
    "openedAt": TIME,
    "mitigatedAt": Null(TIME),
    "resolvedAt": Null(TIME),
    "rootCause": MAYBE_TEXT,
    "actionItems": list,
    "document": re.compile(r"incident-\d{8}-\d{4}\.md"),
}
TIMELINE = {"timeline": [{"at": TIME, "kind": str, "author": str, "text": str, "data": dict}]}
PLAYBOOK = {
    "id": str,
    "title": str,
    "alert": str,
    "severity": str,
    "owner": str,
    "patterns": [{"id": str, "probableCause": str, "solution": str, "actions": list}],
    "steps": [{"id": str, "section": str, "effect": str, "run": str, "script": str}],
}
RUN = {
    "runId": str,
    "playbookId": str,
    "alertId": str,
    "incidentId": str,
    "state": str,
    "pattern": MAYBE_TEXT,
    "startedAt": TIME,
    "endedAt": Null(TIME),
}
FALLBACK = {"disabledCLIs": list, "forcedFallbacks": list, "stranded": list, "pauses": list}
DISABLED = {
    **FALLBACK,
    "disabledCLIs": [{"cli": str, "disabled": bool, "reason": str, "since": TIME, "probes": dict}],
}
FORCED = {
    **FALLBACK,
    "forcedFallbacks": [
        {
            "agentId": str,
            "cli": str,
            "target": str,
            "reason": str,
            "since": TIME,
            "setBy": str,
            "automatic": bool,
            "refused": MAYBE_TEXT,
            "probes": dict,
        }
    ],
}
CHECKS = {"status": str, "version": str, "uptimeMs": int}


def page(shape: Any) -> Any:
    """A page of a list that has something in it."""
    return {"items": [shape], "nextCursor": MAYBE_TEXT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One request, and what its answer has at least."""

    #: As OpenAPI writes it.
    route: str
    shape: Any
    query: str = ""
    body: Any = None
    status: int = 200
    agent: str = "reviewer"

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.route.split()[0]

    @property
    def path(self) -> str:
        """The path with its parameters' names."""
        return self.route.split()[1]


TEXT = re.compile(r".+", re.DOTALL)
#: In this order: what is disabled can be probed, what was mitigated can no longer be escalated.
CASES = (
    Case(route="GET /health", shape=CHECKS),
    Case(route="GET /readyz", shape={**CHECKS, "checks": dict, "notifications": str, "integrity": str}),
    Case(route="GET /api/about", shape={"version": str, "home": str, "bound": list}),
    Case(route="GET /metrics", shape=TEXT),
    Case(
        route="GET /api/slo/status",
        shape={
            "availability": {
                "current": NUMBER,
                "target": NUMBER,
                "breached": bool,
                "alertState": str,
                "errorBudgetRemaining": NUMBER,
                "state": str,
                "window": {"days": NUMBER, "current": NUMBER, "good": int, "total": int},
                "burnRates": dict,
                "errorBudget": BUDGET,
            },
            "latency": {"p50": NUMBER, "p95": NUMBER, "p99": NUMBER, "target": NUMBER},
            "correctness": COUNTED,
            "integrity": COUNTED,
            "resources": COUNTED,
            "timestamp": TIME,
        },
    ),
    Case(
        route="GET /api/metrics/slo",
        query="?period=weekly",
        shape={
            "period": re.compile("weekly"),
            "since": TIME,
            "until": TIME,
            "availability": {**LEVEL, "compliant": bool, "errorBudget": BUDGET},
            "latency": {**LEVEL, "quantiles": dict},
            "correctness": LEVEL,
            "integrity": LEVEL,
            "resources": LEVEL,
        },
    ),
    Case(
        route="GET /api/metrics/events",
        query="?type=EXECUTION_FAILED&agent=writer&cli=claude-code&since=2026-01-01T00:00:00Z&limit=5",
        shape=[
            {
                "type": re.compile("EXECUTION_FAILED"),
                "at": TIME,
                "agentId": re.compile("writer"),
                "cliType": str,
                "account": str,
                "executionId": str,
                "kind": re.compile("auth"),
                "message": str,
            }
        ],
    ),
    Case(route="GET /api/metrics/failures/by-cli", shape=[{"cliType": str, **FAILURES}]),
    Case(route="GET /api/metrics/failures/by-agent", shape=[{"agentId": str, **FAILURES}]),
    Case(
        route="GET /api/metrics/latency/by-agent",
        shape=[{"agentId": str, "count": int, "p50Ms": int, "p95Ms": int, "p99Ms": int, "maxMs": int}],
    ),
    Case(route="GET /api/health/environment", shape=ENVIRONMENT),
    Case(route="POST /api/health/environment", body={"cliType": "codex"}, shape=DIAGNOSIS),
    Case(route="GET /api/health/environment", query="?cli=codex", shape=DIAGNOSIS),
    Case(
        route="GET /api/health/supervision",
        query="?fresh=true",
        shape={
            "passed": bool,
            "tier": re.compile("cgroup|tree walk"),
            "checks": DIAGNOSIS["checks"],
            "warnings": list,
            "timestamp": TIME,
            "warden": {"pid": int, "state": re.compile("serving"), "fault": Null(str), "memoryMB": NUMBER},
            "cgroup": Null({"path": str, "limits": list}),
            "running": {"executions": int, "processes": int, "memoryMB": NUMBER},
        },
    ),
    Case(
        route="POST /agents/register",
        body={
            "agentId": "new",
            "cliType": "codex",
            "cwd": "/tmp",
            "mode": "headless",
            "model": "small",
            "env": {"SECRET": "hidden"},
            "flags": ["--verbose"],
            "limits": {"timeoutMs": 1000},
            "fallback": "park",
            "account": "ours",
            "pool": "default",
        },
        status=201,
        shape=AGENT,
    ),
    Case(route="GET /agents", shape=page(AGENT)),
    Case(route="GET /agents/{agent_id}", shape=AGENT),
    Case(route="POST /agents/{agent_id}/execute", body={"prompt": "Hello."}, shape=ANSWER),
    Case(
        route="GET /agents/{agent_id}/conversation",
        shape=page({"turnId": str, "conversationId": str, "role": str, "content": str, "saidAt": TIME}),
    ),
    Case(
        route="GET /agents/{agent_id}/logs",
        query="?lines=20",
        shape={"agentId": str, "lines": [{"executionId": str, "number": int, "stream": str, "body": str}]},
    ),
    Case(
        route="GET /agents/sessions/status",
        shape=[
            {
                "agentId": str,
                "sessionId": MAYBE_TEXT,
                "hasSession": bool,
                "locked": bool,
                "executing": bool,
                "executionStartedAt": Null(TIME),
                "queueLength": int,
                "lockedForMs": MAYBE_NUMBER,
            }
        ],
    ),
    Case(route="GET /api/integrity/check", shape=CHECKED),
    Case(route="POST /api/integrity/backup", shape=BACKUP),
    Case(
        route="GET /api/integrity/stats",
        shape={
            "conversations": Null(int),
            "turns": Null(int),
            "accepted": Null(int),
            "affected": int,
            "unread": MAYBE_TEXT,
            "lastCheck": Null(CHECKED),
            "history": list,
            "nextCheckAt": Null(TIME),
            "backupFolder": MAYBE_TEXT,
            "backups": list,
        },
    ),
    Case(
        route="POST /api/integrity/cleanup",
        body={"dryRun": True},
        shape={
            "dryRun": bool,
            "deleted": int,
            "deletedByKind": dict,
            "renumbered": int,
            "restored": int,
            "backup": MAYBE_TEXT,
            "refused": list,
            "passed": bool,
            "check": CHECKED,
        },
    ),
    Case(route="GET /api/integrity/foreign-turns", shape={"items": list, "nextCursor": MAYBE_TEXT}),
    *(
        Case(
            route=f"POST /api/integrity/foreign-turns/{decision}",
            body={"turnIds": ["turn-1"], "reason": "a test's"},
            status=409,  # an execution accounts for every turn here
            shape={"error": re.compile("conflict"), "detail": re.compile(".*not a foreign turn.*")},
        )
        for decision in ("accept", "remove")
    ),
    Case(route="GET /agents/sessions", shape=page(SESSION)),
    Case(
        route="POST /agents/sessions/cleanup",
        body={"maxAgeMs": 0, "agent": "reviewer", "dryRun": True},
        shape={"removed": list, "kept": int, "keptInUse": int, "maxAgeMs": int, "dryRun": bool},
    ),
    Case(
        route="GET /agents/circuits/status",
        shape={
            "circuits": [
                {
                    "agentId": str,
                    "cliType": str,
                    "state": str,
                    "failures": int,
                    "lastFailureAt": Null(TIME),
                    "lastKind": MAYBE_TEXT,
                    "openedAt": Null(TIME),
                    "retryAt": Null(TIME),
                }
            ]
        },
    ),
    Case(
        route="POST /agents/{agent_id}/circuit/reset",
        shape={"agentId": str, "status": re.compile("closed"), "closed": int},
    ),
    Case(
        route="GET /agents/processes/status",
        shape=[
            {
                "agentId": re.compile("reviewer"),
                "pid": int,
                "memoryMB": NUMBER,
                "peakMB": NUMBER,
                "growthMBPerMinute": MAYBE_NUMBER,
                "growth": re.compile("growing|steady|unknown"),
                "ageMs": int,
                "processes": int,
                "limits": dict,
            }
        ],
    ),
    Case(
        route="POST /agents/{agent_id}/execute/cancel",
        shape={"agentId": str, "status": str, "execution": Null(EXECUTION)},
    ),
    Case(
        route="POST /agents/{agent_id}/end-session",
        shape={"agentId": str, "status": re.compile("ended"), "sessionsForgotten": int},
    ),
    Case(route="GET /executions", query="?agent=writer&state=failed", shape=page(EXECUTION)),
    Case(route="GET /executions/{execution_id}", shape={**EXECUTION, "prompt": str, "promptLength": int}),
    Case(route="GET /executions/{execution_id}/events", shape=TEXT),
    Case(
        route="GET /executions/{execution_id}/diff",
        status=409,  # it did not run in a git repository
        shape={"error": re.compile("conflict"), "detail": re.compile(".*git repository.*")},
    ),
    Case(
        route="POST /executions/{execution_id}/permission",
        body={"optionId": "allow"},
        status=409,  # its CLI asks nobody
        shape={"error": re.compile("conflict"), "detail": re.compile(".*waits for no permission.*")},
    ),
    Case(route="POST /executions/{execution_id}/cancel", shape=EXECUTION),
    Case(
        route="POST /api/hooks/alertmanager",
        body={"version": "4", "alerts": []},
        status=401,
        shape={"error": re.compile("unauthenticated"), "detail": re.compile(".*--scope hook.*")},
    ),
    Case(route="GET /api/alerts", query="?state=firing", shape=[ALERT]),
    Case(
        route="GET /api/alert-rules",
        shape=[
            {
                "ruleId": str,
                "title": str,
                "severity": str,
                "owner": str,
                "channel": MAYBE_TEXT,
                "playbook": MAYBE_TEXT,
                "slo": MAYBE_TEXT,
                "by": list,
                "received": bool,
                "conditions": [str],
                "listensTo": list,
                "alerts": dict,
            }
        ],
    ),
    Case(route="GET /api/alerts/{alert_id}", shape={**ALERT, **WHY}),
    Case(
        route="POST /api/alerts/{alert_id}/acknowledge",
        body={"by": "ada"},
        shape={**ALERT, "acknowledgedBy": re.compile("ada"), "acknowledgedAt": TIME},
    ),
    Case(
        route="POST /api/silences",
        body={
            "matchers": [{"name": "agent", "value": "build-.*", "isRegex": True}],
            "comment": "the build farm is moved",
            "lasts": "2h",
            "by": "ada",
        },
        status=201,
        shape={**SILENCE, "createdBy": re.compile("ada"), "alerts": int},
    ),
    Case(route="GET /api/silences", query="?active=true", shape=page(SILENCE)),
    Case(route="GET /api/silences/{silence_id}", shape=SILENCE),
    Case(route="DELETE /api/silences/{silence_id}", shape={**SILENCE, "endedAt": TIME}),
    Case(route="GET /api/incidents", query="?state=open", shape=page(INCIDENT)),
    Case(route="GET /api/incidents/{incident_id}", shape={**INCIDENT, **TIMELINE, "playbookRuns": [str]}),
    Case(route="GET /api/incidents/{incident_id}/document", shape=TEXT),
    Case(
        route="POST /api/incidents/{incident_id}/notes",
        body={"text": "Looking.", "by": "ada"},
        status=201,
        shape={**INCIDENT, **TIMELINE},
    ),
    Case(
        route="POST /api/incidents/{incident_id}/action-items",
        body={"text": "Renew it in time."},
        status=201,
        shape={**INCIDENT, "actionItems": [{"text": str, "isDone": bool}]},
    ),
    Case(
        route="POST /api/incidents/{incident_id}/action-items/{index}/done",
        shape={**INCIDENT, "actionItems": [{"text": str, "isDone": bool}]},
    ),
    Case(
        route="POST /api/incidents/{incident_id}/root-cause",
        body={"text": "The login had run out."},
        shape={**INCIDENT, "rootCause": str},
    ),
    Case(
        route="POST /api/incidents/{incident_id}/acknowledge",
        body={"by": "ada"},
        shape={**INCIDENT, **TIMELINE},
    ),
    Case(
        route="POST /api/incidents/{incident_id}/escalate",
        body={"reason": "I need help."},
        shape={**INCIDENT, **TIMELINE},
    ),
    Case(
        route="POST /api/incidents/{incident_id}/mitigate",
        body={"text": "Renewed."},
        shape={**INCIDENT, "state": re.compile("mitigated"), "mitigatedAt": TIME},
    ),
    Case(
        route="POST /api/incidents/{incident_id}/review",
        body={"text": "Too early."},
        status=409,
        shape={"type": str, "title": str, "status": int, "error": re.compile("conflict"), "detail": str},
    ),
    Case(route="GET /api/playbooks", shape=[PLAYBOOK]),
    Case(route="GET /api/playbooks/{playbook_id}", shape=PLAYBOOK),
    Case(route="GET /api/playbooks/{playbook_id}/document", shape=TEXT),
    Case(route="GET /api/playbook-runs", shape=page(RUN)),
    Case(
        route="GET /api/playbook-runs/{run_id}",
        shape={
            **RUN,
            "steps": [{"stepId": str, "block": str, "state": str, "output": str, "startedAt": TIME}],
        },
    ),
    Case(
        route="GET /api/deliveries",
        shape=page(
            {
                "deliveryId": int,
                "receiver": str,
                "action": str,
                "dedupKey": str,
                "state": str,
                "queuedAt": TIME,
            }
        ),
    ),
    Case(
        route="POST /api/fallback/cli/disable",
        body={"cliType": "claude-code", "reason": "to see", "target": "codex"},
        shape=DISABLED,
    ),
    Case(route="GET /api/fallback/status", shape=DISABLED),
    Case(
        route="POST /api/fallback/cli/probe",
        body={"cliType": "claude-code"},
        status=202,
        shape={**EXECUTION, "label": re.compile("probe")},
    ),
    Case(route="POST /api/fallback/cli/enable", body={"cliType": "claude-code"}, shape=FALLBACK),
    Case(
        route="POST /api/fallback/agent/force",
        body={"agentId": "reviewer", "reason": "to see", "target": "tmux"},
        shape=FORCED,
    ),
    Case(
        route="POST /api/fallback/agent/probe",
        body={"agentId": "reviewer"},
        status=202,
        shape={**EXECUTION, "label": re.compile("probe")},
    ),
    # It has had none in tmux; tests/acceptance/test_tmux.py looks at one.
    Case(
        route="GET /agents/{agent_id}/terminal",
        status=409,
        shape={"error": str, "detail": re.compile(".*has no terminal.*")},
    ),
    Case(route="POST /api/fallback/agent/clear", body={"agentId": "reviewer"}, shape=FALLBACK),
    Case(
        route="POST /api/pause",
        body={"scope": "agent", "id": "editor", "reason": "to see"},
        shape={**FALLBACK, "pauses": [{"scope": str, "id": str, "reason": str, "since": TIME}]},
    ),
    Case(route="POST /api/resume", body={"scope": "agent", "id": "editor"}, shape=FALLBACK),
    Case(
        route="GET /api/shadow-mode/metrics",
        shape={
            **COMPARED,
            "summary": str,
            "shadowMode": SWITCH,
            "days": int,
            "since": TIME,
            "until": TIME,
            "running": int,
            "byAgent": [{"agentId": str, **COMPARED}],
            "byCli": [{"cliType": str, **COMPARED}],
        },
    ),
    Case(
        route="GET /api/shadow-mode/mismatches",
        shape=page(
            {
                "executionId": str,
                "agentId": str,
                "cliType": str,
                "endedAt": TIME,
                "layer": str,
                "reason": str,
                "similarity": MAYBE_NUMBER,
                "threshold": NUMBER,
                "tmux": SIDE,
                "headless": SIDE,
                "diff": str,
            }
        ),
    ),
    Case(
        route="GET /api/shadow-mode/failures",
        query="?mode=headless",
        shape=page({"mode": re.compile("headless"), "executionId": str, "kind": str, "endedAt": TIME}),
    ),
    Case(
        route="GET /api/shadow-mode/decision",
        shape={
            "answer": re.compile("not_enough_data"),
            "summary": str,
            "criteria": [
                {
                    "id": str,
                    "title": str,
                    "value": MAYBE_NUMBER,
                    "target": NUMBER,
                    "met": Null(bool),
                    "said": str,
                }
            ],
        },
    ),
    Case(
        route="POST /api/shadow-mode/disable-all",
        body={"reason": "to see"},
        shape={**SWITCH, "reason": str, "since": TIME, "setBy": str},
    ),
    Case(route="POST /api/shadow-mode/enable", shape=SWITCH),
    Case(route="DELETE /agents/{agent_id}", agent="new", status=204, shape=type(None)),
)


@pytest.fixture(scope="module")
async def story(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Outage]:
    """A broker with a little of everything: executions of each end, an alert, an incident, a playbook run."""
    async with outage(tmp_path_factory.mktemp("shapes") / "home") as started:
        await started.traffic(1, agents=["reviewer", "editor"])
        started.login("expired")
        await started.traffic(2, agents=["writer"])
        started.login("ok")
        mismatch = comparison(
            Verdict.MISMATCH,
            ended_at=started.broker.clock.now(),
            headless=Run(state="failed", kind="auth"),
            difference="- yes\n+ no",
        )
        await started.broker.broker.services.storage.write(lambda conn: store.add(conn, mismatch))
        yield started


@pytest.fixture(scope="module")
async def ids(story: Outage) -> dict[str, str]:
    """What stands for each parameter of a path."""
    broker = story.broker
    return {
        "execution_id": (await broker.get("/executions?agent=writer"))["items"][0]["executionId"],
        "alert_id": (await story.alert())["alertId"],
        "silence_id": (
            await broker.post(
                "/api/silences",
                matchers=[{"name": "agent", "value": "nobody"}],
                comment="a rehearsal",
                endsAt="2026-01-05T18:00:00Z",
            )
        )["silenceId"],
        "incident_id": "INC-1",
        "playbook_id": "availability-slo-breach",
        "index": "0",
        "run_id": (await broker.get("/api/playbook-runs"))["items"][0]["runId"],
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.route}{case.query}")
async def test_a_route_answers_in_its_shape(story: Outage, ids: dict[str, str], case: Case) -> None:
    """Its status, its media type, and at least these fields of these types."""
    running = None
    if case.path == "/agents/processes/status":
        running = await accept(story, "script: hang")
    path = case.path.format(agent_id=case.agent, **ids) + case.query
    content = {} if case.body is None else {"json": case.body}
    answer = await story.broker.http.request(case.method, path, **content)
    assert answer.status_code == case.status, answer.text
    assert list(faults(value_of(answer), case.shape)) == []
    if running is not None:
        await story.broker.post(f"/executions/{running}/cancel")


def value_of(answer: httpx.Response) -> Any:
    """JSON where that is what it is said to be, text where it is text, None where there is nothing."""
    if not answer.content:
        return None
    is_json = answer.headers["content-type"] in {"application/json", "application/problem+json"}
    return answer.json() if is_json else answer.text


async def accept(story: Outage, prompt: str) -> str:
    """Have a prompt accepted by the reviewer and started; the id of its execution."""
    answer = await story.broker.http.post(
        "/agents/reviewer/execute", json={"prompt": prompt}, headers={"Prefer": "respond-async"}
    )
    assert answer.status_code == 202
    location = answer.headers["location"]
    assert list(faults(answer.json(), EXECUTION)) == []
    async for line in lines_of(story, f"{location}/events"):
        if line:
            break
    return location.removeprefix("/executions/")


async def lines_of(story: Outage, path: str, **headers: str) -> AsyncIterator[str]:
    """The lines of a stream of events."""
    async with story.broker.http.stream("GET", path, headers=headers) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        async for line in stream.aiter_lines():
            yield line


async def test_records_stream_as_they_are_written_and_resume_after_the_last_one(story: Outage) -> None:
    """Numbers 1 to n and the end; with Last-Event-ID only what came after; a late reader sees the same."""
    execution = await accept(story, "script: stream 5 lines every 50ms")
    path = f"/executions/{execution}/events"
    live = events([line async for line in lines_of(story, path)])
    assert [event["event"] for event in live] == ["record"] * (len(live) - 1) + ["end"]
    assert [event["id"] for event in live[:-1]] == [str(number) for number in range(1, len(live))]
    assert list(faults(live[-1]["data"], {**EXECUTION, "state": re.compile("completed")})) == []
    record = {"number": int, "stream": str, "body": str, "size": int, "writtenAt": TIME}
    assert [list(faults(event["data"], record)) for event in live[:-1]] == [[]] * (len(live) - 1)

    assert events([line async for line in lines_of(story, path)]) == live
    resumed = events([line async for line in lines_of(story, path, **{"Last-Event-ID": "3"})])
    assert resumed == live[3:]


def events(lines: list[str]) -> list[dict[str, Any]]:
    """Server-sent events by their fields; comments are no events."""
    found = []
    for block in "\n".join(lines).split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":"))
        if fields:
            found.append({**fields, "data": json.loads(fields["data"])})
    return found


async def test_lists_are_read_page_by_page(story: Outage) -> None:
    """Following the cursor gives everything once, in order, and then no cursor."""
    everything = (await story.broker.get("/executions"))["items"]
    found: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        part = await story.broker.get(f"/executions?limit=2{f'&cursor={cursor}' if cursor else ''}")
        assert len(part["items"]) <= 2
        found += part["items"]
        cursor = part["nextCursor"]
    assert [one["executionId"] for one in found] == [one["executionId"] for one in everything]


async def test_prometheus_reads_the_metrics(story: Outage) -> None:
    """The specification's names, in the text format, with the buckets that its thresholds need."""
    answer = await story.broker.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert {"headless_latency_p95_ms", "headless_availability", "headless_executions"} <= set(families)
    assert families["headless_executions"].type == "counter"
    histogram = families["headless_execution_duration_seconds"]
    assert histogram.type == "histogram"
    edges = {sample.labels["le"] for sample in histogram.samples if sample.name.endswith("_bucket")}
    assert {30.0, 60.0} <= {float(edge) for edge in edges}


async def test_openapi_lists_every_route_and_nothing_else(story: Outage) -> None:
    """What is documented is what is tested here."""
    found = await story.broker.get("/openapi.json")
    listed = {f"{method.upper()} {path}" for path, item in found["paths"].items() for method in item}
    assert listed == {case.route for case in CASES}


async def test_openapi_is_whole(story: Outage) -> None:
    """OpenAPI 3.1: every operation has its own id, every parameter its place, every reference its end."""
    found = await story.broker.get("/openapi.json")
    assert found["openapi"].startswith("3.1.")
    assert found["info"]["title"] == "Kokino"
    operations = [(path, operation) for path, item in found["paths"].items() for operation in item.values()]
    names = [operation["operationId"] for _, operation in operations]
    assert len(set(names)) == len(names)
    for path, operation in operations:
        assert operation["responses"], path
        assert operation.get("summary"), path
        parameters = [one for one in operation.get("parameters", []) if one["in"] == "path"]
        assert {one["name"] for one in parameters} == set(re.findall(r"\{(\w+)\}", path)), path
        assert all(one["required"] for one in parameters), path
    for reference in references(found):
        target: Any = found
        for part in reference.removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        assert target


def references(value: Any) -> Iterator[str]:
    """Every ``$ref`` in a document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref" and isinstance(inner, str):
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)
