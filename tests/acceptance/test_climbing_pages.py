"""Who hears of an incident that does not end, and when, in virtual time."""

from __future__ import annotations

from tests.acceptance.outage import MINUTE, Outage, every_cli_fails, little_fails


async def test_a_page_that_nobody_answers_climbs_the_tiers(story: Outage) -> None:
    """Every CLI type fails: the lead hears after 15 minutes, the director when the playbook gives up."""
    fired_at = await every_cli_fails(story)
    told = [("@backend-team", "open")]
    assert story.pages == told

    await story.until(fired_at + 14 * MINUTE)
    assert story.pages == told
    await story.until(fired_at + 15 * MINUTE)
    told.append(("@platform-lead", "open"))
    assert story.pages == told

    await story.until(fired_at + 21 * MINUTE)
    told.append(("@eng-director", "open"))
    assert story.pages == told
    first, second = await story.said("escalated")
    assert first.endswith("not resolved within 15 minutes")
    assert "Verify did not hold within 20 min" in second
    assert len(await story.said("handed_over")) == 1
    assert (await story.incident())["state"] == "open"


async def test_a_cause_that_nobody_knows_changes_nothing_and_reaches_the_director_in_an_hour(
    story: Outage,
) -> None:
    """Too little ran to tell why: the playbook hands over to the lead, the last tier keeps its time."""
    fired_at = await little_fails(story)

    await story.until(fired_at + 10 * MINUTE)
    assert await story.pattern() is None
    assert (await story.broker.get("/api/fallback/status"))["disabledCLIs"] == []
    assert "Nothing was changed" in (await story.said("pattern"))[0]
    assert [owner for owner, _ in story.pages] == ["@backend-team", "@platform-lead"]

    await story.until(fired_at + 59 * MINUTE)
    assert [owner for owner, _ in story.pages] == ["@backend-team", "@platform-lead"]
    await story.until(fired_at + 60 * MINUTE)
    assert [owner for owner, _ in story.pages] == ["@backend-team", "@platform-lead", "@eng-director"]
    assert (await story.said("escalated"))[-1].endswith("not resolved within 60 minutes")


async def test_an_acknowledged_p1_still_climbs(story: Outage) -> None:
    """A P1 is escalated until it is resolved, whoever looks at it; the timeline says who does."""
    fired_at = await little_fails(story)
    alert = await story.alert()

    acknowledged = await story.broker.post(f"/api/alerts/{alert['alertId']}/acknowledge", by="ada")
    await story.broker.settle()

    assert acknowledged["acknowledgedBy"] == "ada"
    entries = (await story.incident())["timeline"]
    assert [entry["author"] for entry in entries if entry["kind"] == "acknowledged"] == ["ada"]
    assert story.pages == [("@backend-team", "acknowledged")]
    await story.until(fired_at + 60 * MINUTE)
    assert ("@eng-director", "open") in story.pages


async def test_a_mitigated_incident_wakes_nobody_further(story: Outage) -> None:
    """Once a person says that a repair holds, no further tier is told."""
    fired_at = await little_fails(story)

    await story.broker.post("/api/incidents/INC-1/mitigate", text="The login is renewed.", by="ada")

    await story.until(fired_at + 61 * MINUTE)
    assert story.pages == [("@backend-team", "open")]
