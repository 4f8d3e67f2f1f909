"""The story of a login that expires: from the first failure to the written review, as steps to be seen."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from kokino.agents.failures import FailureKind
from kokino.drills.fleet import Fleet
from kokino.drills.observe import Facts, instant
from kokino.drills.story import Sighting, Step
from kokino.testing.receivers import PagerState

#: The row of the playbook's table that fits.
PATTERN = "single-cli-account"
#: Steps of the playbook: what repairs, and what takes the repair back.
MOVE, PARK = "disable-cli", "park-account"
SWITCH_BACK, RESUME = "enable-cli", "resume-account"
#: The investigation step that compares the CLI types.
BY_CLI = "by-cli"
#: Deeds.
START_LOAD, EXPIRE_LOGIN, RENEW_LOGIN = "start-load", "expire-login", "renew-login"
#: Executions that show a healthy fleet: each agent has succeeded, and one failure is no outage among so many.
HEALTHY = 18
#: Failures before the outage is called one: fewer than the alert needs, so that it is seen first.
FAILURES = 2
#: Good probes in a row that the broker asks for.
PROBES = 3


#: Parts of the review that the specification's form asks for.
SECTIONS = {"## Timeline", "## Root Cause", "## Action Items"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginExpires:
    """What must be seen when the login of one CLI type of a fleet expires."""

    fleet: Fleet
    cli_type: str

    @property
    def steps(self) -> tuple[Step, ...]:
        """In the order in which one brings the next about; budgets are those of a quiet machine, twice."""
        return (
            _step("healthy", "All agents answer", self._healthy, 6, START_LOAD),
            _step("failures", f"{self.cli_type}'s login expires", self._failures, 3, EXPIRE_LOGIN),
            _step("alert", "The alert fires", alert_fires, 3),
            _step("page", "The page arrives", page_arrives, 2),
            _step("evidence", "The playbook investigates", evidence, 4),
            _step("pattern", "It recognises the pattern", pattern, 5),
            _step("moved", f"Agents of {self.cli_type} move", self._moved, 2),
            _step("parked", "The account is parked", self._parked, 2),
            _step("repaired", "Moved agents succeed", self._repaired, 3),
            _step("resolved", "The alert resolves", alert_resolves, 8),
            _step("verified", "Verify passes", verified, 8),
            _step("closed", "The incident is resolved", incident_resolved, 2),
            _step("probed", "Somebody renews the login", self._probed, 6, RENEW_LOGIN),
            _step("restored", "Everything is switched back", self._restored, 4),
            _step("home", "Agents are back and succeed", self._home, 3),
            _step("review", "The review is written", self._review, 2),
        )

    def _healthy(self, facts: Facts) -> Sighting | None:
        traffic = facts.traffic()
        good = [one for one in traffic if one["state"] == "completed"]
        asked = {one["agentId"] for one in good}
        if len(good) < HEALTHY or len(good) < len(traffic) or len(asked) < len(self.fleet.members):
            return None
        by_type = Counter(one["cliType"] for one in good)
        counted = ", ".join(f"{name} {by_type[name]}" for name in self.fleet.cli_types)
        text = f"{len(good)} of {len(traffic)} executions succeeded ({counted})"
        return Sighting(at=instant(good[-1]["endedAt"]), text=text)

    def _failures(self, facts: Facts) -> Sighting | None:
        failed = [one for one in facts.traffic() if one["kind"] == FailureKind.AUTH]
        if len(failed) < FAILURES:
            return None
        agents = _listed(dict.fromkeys(one["agentId"] for one in failed))
        return Sighting(
            at=instant(failed[0]["endedAt"]),
            text=f"Executions of {agents} fail with kind auth",
            details=(str(failed[0]["error"]),),
        )

    def _moved(self, facts: Facts) -> Sighting | None:
        action = _action(facts, "action", MOVE)
        disabled = facts.disabled(self.cli_type)
        if action is None or disabled is None:
            return None
        agents = _listed(self.fleet.of(self.cli_type))
        text = f"{agents} run on {disabled['target']} from now on; {self.cli_type} is out of use"
        return Sighting(at=instant(action["at"]), text=text, details=(disabled["reason"],))

    def _parked(self, facts: Facts) -> Sighting | None:
        action = _action(facts, "action", PARK)
        paused = facts.pauses("account")
        if action is None or not paused:
            return None
        return Sighting(
            at=instant(action["at"]), text=f"Nothing runs with {paused[0]['id']} until it is resumed"
        )

    def _repaired(self, facts: Facts) -> Sighting | None:
        good = self._first_successes(
            facts, _action(facts, "action", MOVE), lambda used: used != self.cli_type
        )
        if good is None:
            return None
        last = good[-1]
        agents = _listed(one["agentId"] for one in good)
        return Sighting(at=instant(last["endedAt"]), text=f"{agents} succeeded on {last['cliType']}")

    def _probed(self, facts: Facts) -> Sighting | None:
        probes = facts.probes(self.cli_type)[-PROBES:]
        if len(probes) < PROBES or any(one["state"] != "completed" for one in probes):
            return None
        text = f"{PROBES} probes of {self.cli_type} in a row were answered"
        return Sighting(at=instant(probes[-1]["endedAt"]), text=text)

    def _restored(self, facts: Facts) -> Sighting | None:
        entries = [_action(facts, "restored", title) for title in (SWITCH_BACK, RESUME)]
        if None in entries or facts.disabled(self.cli_type) is not None or facts.pauses("account"):
            return None
        at = max(instant(entry["at"]) for entry in entries if entry is not None)
        return Sighting(at=at, text=f"{self.cli_type} is in use again, and its account is resumed")

    def _home(self, facts: Facts) -> Sighting | None:
        restored = _action(facts, "restored", SWITCH_BACK)
        good = self._first_successes(facts, restored, lambda used: used == self.cli_type)
        if good is None:
            return None
        agents = _listed(one["agentId"] for one in good)
        return Sighting(at=instant(good[-1]["endedAt"]), text=f"{agents} succeeded on {self.cli_type}")

    def _review(self, facts: Facts) -> Sighting | None:
        """The review document is on disk, complete to the last thing that happened."""
        restored = _action(facts, "restored", SWITCH_BACK)
        if restored is None or facts.incident is None or facts.document is None:
            return None
        lines = facts.document.splitlines()
        last = f"- {instant(restored['at']):%H:%M}"
        if not any(line.startswith(last) for line in lines) or not SECTIONS.issubset(lines):
            return None
        text = f"incidents/{facts.incident['document']}, {len(lines)} lines with all the evidence"
        return Sighting(at=facts.at, text=text)

    def _first_successes(
        self, facts: Facts, since: Mapping[str, Any] | None, is_right: Callable[[str], bool]
    ) -> list[Mapping[str, Any]] | None:
        """The first success of each agent of the CLI type after an entry; None until each has one."""
        if since is None:
            return None
        first: dict[str, Mapping[str, Any]] = {}
        for one in facts.traffic(since=instant(since["at"])):
            if one["state"] == "completed" and is_right(one["cliType"]):
                first.setdefault(one["agentId"], one)
        agents = self.fleet.of(self.cli_type)
        found = [one for agent_id, one in first.items() if agent_id in agents]
        return found if len(found) == len(agents) else None


def alert_fires(facts: Facts) -> Sighting | None:
    """The alert fired; its reason."""
    fired = facts.entries("fired")
    if facts.alert is None or facts.alert["firingAt"] is None or not fired:
        return None
    alert = facts.alert
    text = f"{alert['severity']} {alert['title']}, for {alert['owner']}"
    return Sighting(at=instant(alert["firingAt"]), text=text, details=(_unprefixed(fired[0]["text"]),))


def page_arrives(facts: Facts) -> Sighting | None:
    """Both receivers have it; the text that people read."""
    paged = facts.entries("paged")
    if not paged or not facts.pages or not facts.posts:
        return None
    page = facts.pages[0]
    text = f"PagerDuty took it as {page.severity} ({page.pages} page), #headless-alerts shows:"
    return Sighting(at=instant(paged[0]["at"]), text=text, details=tuple(_read(facts.posts[0])))


def evidence(facts: Facts) -> Sighting | None:
    """All investigation steps answered; what they say of the CLI types."""
    told = facts.entries("evidence")
    latest = {step["stepId"]: step for step in _steps(facts, "Investigate")}
    if not told or BY_CLI not in latest or any(step["state"] != "passed" for step in latest.values()):
        return None
    text = f"{len(latest)} of {len(latest)} steps answered, among them by CLI type:"
    return Sighting(at=instant(told[0]["at"]), text=text, details=tuple(_by_cli(latest[BY_CLI]["output"])))


def pattern(facts: Facts) -> Sighting | None:
    """The playbook's row that fits."""
    found = facts.entries("pattern")
    if not found or found[-1]["data"].get("pattern") != PATTERN:
        return None
    data = found[-1]["data"]
    about = f"account {data['account']}, CLI type {data['cli_type']}, failures of kind {data['kind']}"
    return Sighting(at=instant(found[-1]["at"]), text=f"{data['pattern']}: {data['cause']}", details=(about,))


def alert_resolves(facts: Facts) -> Sighting | None:
    """The alert's own condition for its end held, and both receivers know."""
    cleared = facts.entries("cleared")
    is_paging = not facts.pages or facts.pages[0].state is not PagerState.RESOLVED
    is_told = any("Resolved" in post[0] for post in facts.posts)
    if not cleared or is_paging or not is_told or facts.alert is None or facts.alert["state"] != "resolved":
        return None
    return Sighting(
        at=instant(cleared[0]["at"]),
        text=_unprefixed(cleared[0]["text"]),
        details=("PagerDuty's incident is resolved, and Slack was told.",),
    )


def verified(facts: Facts) -> Sighting | None:
    """The playbook's condition held for its whole window."""
    found = facts.entries("verified")
    if not found:
        return None
    first, *rest = found[0]["text"].split("; ")
    return Sighting(at=instant(found[0]["at"]), text=_plain(first), details=tuple(map(_plain, rest)))


def incident_resolved(facts: Facts) -> Sighting | None:
    """The incident ended, with what it was."""
    found = facts.entries("resolved")
    if facts.incident is None or facts.incident["state"] != "resolved" or not found:
        return None
    return Sighting(at=instant(found[-1]["at"]), text=f"{facts.incident['id']}: {found[-1]['text']}")


def _step(
    id: str, title: str, sees: Callable[[Facts], Sighting | None], minutes: float, deed: str | None = None
) -> Step:
    return Step(id=id, title=title, sees=sees, budget=timedelta(minutes=minutes), deed=deed)


def _action(facts: Facts, kind: str, step_id: str) -> Mapping[str, Any] | None:
    """The timeline entry of a playbook step that worked."""
    wanted = {"step": step_id, "state": "passed"}
    found = [entry for entry in facts.entries(kind) if wanted.items() <= entry["data"].items()]
    return found[0] if found else None


def _steps(facts: Facts, section: str) -> list[Mapping[str, Any]]:
    """What the playbook run did of a section so far, in order."""
    return [step for step in facts.run["steps"] if step["section"] == section] if facts.run else []


def _by_cli(output: str) -> list[str]:
    rows: Sequence[Mapping[str, Any]] = json.loads(output)
    return [_of_cli(row) for row in sorted(rows, key=lambda row: str(row["cliType"]))]


def _of_cli(row: Mapping[str, Any]) -> str:
    kinds = f" ({', '.join(row['kinds'])})" if row["kinds"] else ""
    return f"{row['cliType']}: {row['failures']} of {row['total']} failed{kinds}"


def _listed(names: Iterable[str]) -> str:
    """``writer, editor and reviewer``."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _unprefixed(text: str) -> str:
    """What a timeline entry says after ``Alert fired:``."""
    return text.partition(": ")[2] or text


def _plain(text: str) -> str:
    return text.replace("`", "")


def _read(lines: Iterable[str]) -> list[str]:
    """Lines of Slack's markup as people see them: no stars, each link on a line with its address."""
    shown = [part for line in lines for part in (line.split(" · ") if "<http" in line else [line])]
    return [_unmarked(line.strip()) for line in shown]


def _unmarked(line: str) -> str:
    if line.startswith("<http"):
        address, _, label = line.strip("<>").partition("|")
        return f"{label}: {address}"
    return line.replace("*", "").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
