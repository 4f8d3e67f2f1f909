"""The dashboard as a person sees it: a real browser before a real broker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from kokino.testing.broker import TestBroker

CHROMIUM = Path("/usr/bin/chromium")
#: It runs as any user, without a display, and asks nobody for updates.
ARGUMENTS = (
    "--no-sandbox",
    "--headless",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
#: Far longer than anything here takes, in milliseconds.
PATIENCE = 30_000
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
FAIL = "script: fail auth"

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs a browser at {CHROMIUM}")


@dataclass(slots=True)
class Watched:
    """A page, and all that it asked for and complained about."""

    page: Page
    hosts: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Note every request and every complaint from here on."""
        self.page.on("request", lambda request: self.hosts.add(str(urlsplit(request.url).hostname)))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: self._hear(message))  # noqa: PLW0108 - it marks what it is given

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[TestBroker]:
    """Two CLI types and three agents, all scripted."""
    async with TestBroker(tmp_path / "home") as running:
        yield running


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium, started once: each test has a context of its own in it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        await browser.close()


@pytest.fixture
async def watched(broker: TestBroker, browser: Browser) -> AsyncIterator[Watched]:
    """The dashboard, open and live."""
    context = await browser.new_context()
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    found = Watched(await context.new_page())
    found.listen()
    await found.page.goto(broker.url)
    await expect(found.page.locator("#line")).to_have_text("live")
    yield found
    await context.close()


async def _outage(broker: TestBroker) -> None:
    for _ in range(4):
        assert (await broker.execute("reviewer")).status_code == httpx.codes.OK
        assert (await broker.execute("writer", FAIL)).status_code == httpx.codes.BAD_GATEWAY


async def test_an_outage_appears_without_a_reload(broker: TestBroker, watched: Watched) -> None:
    """Whoever has the page open sees the alert, its incident and the figures as they come."""
    page = watched.page
    await expect(page.locator("#levels")).to_contain_text("no data")
    await page.evaluate("document.body.dataset.loaded = 'once'")
    await _outage(broker)
    await expect(page.locator("#alerts .alarm.firing.P1")).to_contain_text("Availability SLO breach")
    await expect(page.locator("#incidents")).to_contain_text("INC-1")
    await expect(page.locator("#levels .figure").first).to_have_text("50.00 %")
    await expect(page).to_have_title("P1: Availability SLO breach · Kokino")
    assert await page.evaluate("document.body.dataset.loaded") == "once"
    assert watched.complaints == []


async def test_a_person_acknowledges_an_alert_from_the_page(broker: TestBroker, watched: Watched) -> None:
    """The button says who looks after the alert, and the page shows it."""
    await _outage(broker)
    alarm = watched.page.locator("#alerts .alarm")
    await alarm.get_by_placeholder("your name").fill("mika")
    await alarm.get_by_role("button", name="Acknowledge").click()
    await expect(alarm).to_contain_text("Looked after by mika")
    alerts = await broker.get("/api/alerts")
    [found] = [one for one in alerts if one["ruleId"] == "availability-slo-breach"]
    assert found["acknowledgedBy"] == "mika"


async def test_a_person_cancels_an_execution_from_the_page(broker: TestBroker, watched: Watched) -> None:
    """The button ends what runs."""
    page = watched.page
    page.on("dialog", lambda dialog: dialog.accept())
    started = await broker.http.post(
        "/agents/writer/execute", json={"prompt": "script: think 5m"}, headers={"Prefer": "respond-async"}
    )
    row = page.locator(f"[id='execution-{started.json()['executionId']}']")
    await expect(row).to_contain_text("running")
    await row.get_by_role("button", name="Cancel").click()
    await expect(row).to_contain_text("cancelled")


async def test_what_the_reader_unfolded_stays_unfolded(broker: TestBroker, watched: Watched) -> None:
    """An update leaves evidence open, and typed text where it is."""
    page = watched.page
    await _outage(broker)
    evidence = page.locator("#incidents details").first
    await evidence.locator("summary").click()
    await page.get_by_placeholder("your name").fill("mi")
    await broker.post("/api/incidents/INC-1/notes", text="I am looking at the login.")
    await expect(page.locator("#incidents")).to_contain_text("I am looking at the login.")
    await expect(evidence).to_have_attribute("open", "")
    await expect(page.get_by_placeholder("your name")).to_have_value("mi")


async def test_hostile_text_is_shown_and_runs_nothing(broker: TestBroker, watched: Watched) -> None:
    """What somebody said is read as text, in an update and in a page that is loaded anew."""
    page = watched.page
    await broker.post("/api/fallback/cli/disable", cliType="codex", target="claude-code", reason=HOSTILE)
    await expect(page.locator("#traffic")).to_contain_text(HOSTILE)
    await page.reload()
    await expect(page.locator("#traffic")).to_contain_text(HOSTILE)
    await expect(page.locator("#line")).to_have_text("live")
    assert await page.title() != "owned"
    assert await page.locator("main img").count() == 0
    assert watched.complaints == []


async def test_a_telephone_scrolls_in_one_direction(broker: TestBroker, watched: Watched) -> None:
    """At 360 pixels no page is wider than the screen."""
    page = watched.page
    await _outage(broker)
    await page.set_viewport_size({"width": 360, "height": 740})
    for path in ("/", "/incidents", "/incidents/INC-1", "/playbooks/availability-slo-breach"):
        await page.goto(f"{broker.url}{path}")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360, path


async def test_a_page_asks_nobody_but_the_broker(broker: TestBroker, watched: Watched) -> None:
    """Every page, with all that it loads, comes from the broker alone."""
    await _outage(broker)
    for path in ("/", "/incidents/INC-1", "/playbooks", "/playbooks/availability-slo-breach"):
        await watched.page.goto(f"{broker.url}{path}", wait_until="load")
    assert watched.hosts == {"127.0.0.1"}
    assert watched.complaints == []


async def test_a_page_without_its_stream_says_so_until_it_is_back(
    broker: TestBroker, watched: Watched
) -> None:
    """A page never looks live when nothing comes, and finds the broker again by itself."""
    page = watched.page
    await page.route("**/live", lambda route: route.abort())
    await page.reload()
    await expect(page.locator("#line")).to_have_text("connection lost")
    await page.unroute("**/live")
    await expect(page.locator("#line")).to_have_text("live")
