"""The review document: Markdown in the form of the specification's "Post-Incident Review"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo

from kokino.incidents import words
from kokino.incidents.evidence import Evidence
from kokino.incidents.impact import Impact, sentences
from kokino.incidents.lessons import found_cause, latest_pattern
from kokino.incidents.markdown import fenced, line, paragraphs, trimmed
from kokino.incidents.model import BROKER, EntryKind, Incident, IncidentState, TimelineEntry
from kokino.incidents.parts import merged, part
from kokino.slo.model import SloId

#: Bookkeeping that a reader of the review does not miss: its facts stand in other parts of the document.
LEFT_OUT = frozenset({EntryKind.OPENED, EntryKind.CAUSE, EntryKind.ACTION_ITEM})
#: A step's output beyond this is in the database; the review shows what it is about.
OUTPUT_LINES = 20
OUTPUT_CHARACTERS = 1_500


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Everything that the document tells."""

    incident: Incident
    entries: Sequence[TimelineEntry]
    evidence: Sequence[Evidence]
    impact: Impact
    #: Time zone of every time in it.
    zone: tzinfo = UTC


def render(story: Story, existing: str = "") -> str:
    """The document; an existing one brought up to date, with everything that people wrote in it."""
    bodies = parts(story)
    if existing.strip():
        return merged(existing, bodies)
    sections = [
        f"# Incident: {line(story.incident.title)}",
        part("summary", bodies["summary"]),
        *(f"## {title}\n\n{part(name, bodies[name])}" for name, title in SECTIONS),
    ]
    return "\n\n".join(sections) + "\n"


SECTIONS = (
    ("impact", "Impact"),
    ("timeline", "Timeline"),
    ("root-cause", "Root Cause"),
    ("action-items", "Action Items"),
    ("evidence", "Evidence"),
)


def parts(story: Story) -> dict[str, str]:
    """The broker's parts of the document, by name."""
    return {
        "summary": _summary(story),
        "impact": _impact(story),
        "timeline": _timeline(story),
        "root-cause": _root_cause(story),
        "action-items": _action_items(story),
        "evidence": _evidence(story),
    }


def _summary(story: Story) -> str:
    incident = story.incident
    facts = {
        "Date": words.instant(incident.opened_at, story.zone),
        "Duration": _duration(incident),
        "Severity": incident.severity,
        "Owner": line(incident.owner),
        "Incident": incident.id,
        "Status": _status(story),
    }
    return "\n".join(f"**{name}:** {value}" for name, value in facts.items())


def _duration(incident: Incident) -> str:
    if incident.resolved_at is None:
        return "ongoing"
    return words.length(incident.resolved_at - incident.opened_at)


def _status(story: Story) -> str:
    incident = story.incident
    if incident.state is IncidentState.RESOLVED and incident.review_due_at is not None:
        return f"resolved; review due by {words.instant(incident.review_due_at, story.zone)}"
    return str(incident.state)


def _impact(story: Story) -> str:
    is_its_own = story.incident.labels.get("slo") == SloId.AVAILABILITY
    said = sentences(story.impact, story.zone, is_its_own=is_its_own)
    return "\n".join(f"- {line(one)}" for one in said)


def _timeline(story: Story) -> str:
    told = sorted(
        (entry for entry in story.entries if entry.kind not in LEFT_OUT),
        key=lambda entry: (entry.at, entry.entry_id),
    )
    folded = list(_folded(told))
    times = _times([entry.at.astimezone(story.zone) for entry in folded])
    lines = [f"- {at} - {_said(entry)}" for at, entry in zip(times, folded, strict=True)]
    return "\n".join([f"Times are {_zone_name(story)}.", "", *lines])


def _zone_name(story: Story) -> str:
    return f"{story.incident.opened_at.astimezone(story.zone):%Z}"


def _folded(entries: Sequence[TimelineEntry]) -> Iterator[TimelineEntry]:
    """Looks taken one after another are one line: their outputs stand under Evidence."""
    held: TimelineEntry | None = None
    for entry in entries:
        if entry.kind is EntryKind.EVIDENCE and held is not None:
            held = replace(held, text=f"{held.text.rstrip('. ')}; {entry.text}")
            continue
        if held is not None:
            yield held
        held = entry if entry.kind is EntryKind.EVIDENCE else None
        if held is None:
            yield entry
    if held is not None:
        yield held


def _times(moments: Sequence[datetime]) -> list[str]:
    """``09:05``; all with seconds when several share a minute, with the date once it is another day."""
    shared = Counter(f"{at:%Y%m%d%H%M}" for at in moments)
    form = "%H:%M:%S" if any(count > 1 for count in shared.values()) else "%H:%M"
    first = moments[0].date() if moments else None
    return [(f"{at:%Y-%m-%d} " if at.date() != first else "") + at.strftime(form) for at in moments]


def _said(entry: TimelineEntry) -> str:
    by = "" if entry.author == BROKER else f" ({line(entry.author)})"
    return f"{line(entry.text)}{by}"


def _root_cause(story: Story) -> str:
    if story.incident.root_cause:
        return paragraphs(story.incident.root_cause)
    if probable := found_cause(latest_pattern(story.entries)):
        return f"Probable, not confirmed yet: {paragraphs(probable)}"
    if story.incident.state.is_over:
        return "Not known. What was looked at stands under Evidence; write here what the review finds."
    return "Not known yet."


def _action_items(story: Story) -> str:
    items = story.incident.action_items
    if not items:
        return "None yet."
    return "\n".join(f"- [{'x' if item.is_done else ' '}] {line(item.text)}" for item in items)


def _evidence(story: Story) -> str:
    if not story.evidence:
        return "No playbook step ran."
    return "\n\n".join(_step(step, times, story.zone) for step, times in _once_each(story.evidence))


def _once_each(evidence: Sequence[Evidence]) -> list[tuple[Evidence, int]]:
    """Each step with how often it ran, as it ended last: a playbook looks again and again until all is well.

    The broker keeps every run; here dozens that say the same would bury the few that tell something.
    """
    latest: dict[tuple[str, str], tuple[Evidence, int]] = {}
    for step in evidence:
        _, times = latest.get((step.playbook_id, step.step_id), (step, 0))
        latest[step.playbook_id, step.step_id] = (step, times + 1)
    return list(latest.values())


def _step(step: Evidence, times: int, zone: tzinfo) -> str:
    ended = step.state if step.exit_code is None else f"{step.state}, exit code {step.exit_code}"
    at = f"{step.started_at.astimezone(zone):%H:%M:%S}" + (f", the last of {times} runs" if times > 1 else "")
    heading = f"**{line(step.section)}: {line(step.step_id)}** ({line(step.playbook_id)}, {at}, {ended})"
    shown = [
        fenced(step.block, "sh"),
        *(_output(text) for text in (step.output, step.errors) if text.strip()),
    ]
    return "\n\n".join([heading, *shown])


def _output(text: str) -> str:
    return fenced(trimmed(text, lines=OUTPUT_LINES, characters=OUTPUT_CHARACTERS))
