from __future__ import annotations

import re
from html.parser import HTMLParser

import httpx
import pytest
from sqlalchemy import Connection

from kokino.agents.failures import FailureKind
from kokino.alerts.model import Phase
from kokino.executions.model import State
from kokino.playbooks.library import load_library
from tests.integration.web.outage import HOSTILE, Outage

PAGES = (
    "/",
    "/incidents",
    "/incidents/INC-1",
    "/alerts/alert-1",
    "/playbooks",
    "/playbooks/availability-slo-breach",
    "/incidents/INC-99",
)


class Inspector(HTMLParser):
    """Finds what a content security policy would have to allow."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.inline: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(tag)
        self.inline += [name for name in given if name.startswith("on") or name == "style"]
        self.addresses += [given[name] or "" for name in ("src", "href", "action") if name in given]


async def _outage(outage: Outage) -> int:
    await outage.agents()
    await outage.traffic()
    await outage.executions()
    await outage.disable()
    await outage.alert()
    return await outage.incident()


def _text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


async def test_the_dashboard_tells_the_outage_without_any_script(
    http: httpx.AsyncClient, outage: Outage
) -> None:
    """Whoever has no JavaScript reads the whole state of the broker on one page."""
    await _outage(outage)
    page = _text((await http.get("/")).text)
    for said in (
        "P1: Availability SLO breach",
        "availability 93.33 % over 1 h is under 99 %",
        "target 99.5 % over 30 d",
        "of 216 min left",
        "moved to codex",
        "1 queued",
        "Good probes 1/3",
        "reviewer sent elsewhere to tmux it alone hangs",
        "Recognised single-cli-account",
        "connection refused; another attempt follows",
        "failed auth",
    ):
        assert said in page


async def test_an_agent_that_was_sent_where_there_is_no_way_is_shown_as_refused(
    http: httpx.AsyncClient, outage: Outage
) -> None:
    """What sends it elsewhere says so, for nothing else on the page tells that it is this that hinders."""
    await outage.agents()
    await outage.disable()
    assert "sent elsewhere to tmux it alone" in _text((await http.get("/")).text)
    await outage.force("claude-code")
    page = _text((await http.get("/")).text)
    assert "sent elsewhere to claude-code refused agent &#39;reviewer&#39; is sent elsewhere" in page
    assert "and its fallback &#39;claude-code&#39; is disabled, too it alone hangs" in page


async def test_service_levels_that_nothing_feeds_have_no_data(http: httpx.AsyncClient) -> None:
    """An unmeasured service level is never shown as kept."""
    page = _text((await http.get("/")).text)
    assert page.count("no data") == 5


async def test_an_empty_broker_says_what_to_do_next(http: httpx.AsyncClient) -> None:
    """Without agents the page shows how to register one."""
    page = (await http.get("/")).text
    assert "No agents yet" in page
    assert "http://127.0.0.1:5050/agents/register" in page


async def test_evidence_shows_the_command_and_what_it_answered(
    http: httpx.AsyncClient, outage: Outage
) -> None:
    """Each step that an entry speaks of can be unfolded."""
    await _outage(outage)
    page = (await http.get("/incidents/INC-1")).text
    assert page.count('<details id="step-') == 7
    assert "api/metrics/failures/by-cli?minutes=15" in page
    assert "&#34;kinds&#34;: {&#34;auth&#34;: 12}" in page


async def test_a_resolved_alert_no_longer_asks_for_anybody(http: httpx.AsyncClient, outage: Outage) -> None:
    """What is over is listed quietly, without a button."""
    await outage.alert(state=Phase.RESOLVED, reason="recovered: 9 of 9 executions succeeded")
    page = (await http.get("/")).text
    assert "recovered: 9 of 9" in page
    assert 'class="alarm' not in page
    assert "data-post" not in page


async def test_what_agents_alerts_and_people_say_is_text(http: httpx.AsyncClient, outage: Outage) -> None:
    """Hostile text is shown as it is and becomes no element."""
    await outage.agents()
    await outage.alert(reason=HOSTILE)
    number = await outage.incident()
    await outage.note(number, HOSTILE, author=HOSTILE)

    def fail(conn: Connection) -> None:
        outage.execution(
            conn,
            "exec-1",
            "planner",
            seconds_ago=5,
            state=State.FAILED,
            kind=FailureKind.CRASH,
            error=HOSTILE,
        )

    await outage.storage.write(fail)
    for path in ("/", "/incidents/INC-1", "/alerts/alert-1"):
        page = (await http.get(path)).text
        found = Inspector()
        found.feed(page)
        assert "&lt;img src=x onerror=" in page
        assert found.inline == []
        assert found.tags.count("img") == 1, "the brand's picture alone"


@pytest.mark.parametrize("path", PAGES)
async def test_no_page_asks_for_anything_that_the_policy_forbids(
    http: httpx.AsyncClient, outage: Outage, path: str
) -> None:
    """Scripts and styles are files of ours, and every address is a path of the broker."""
    await _outage(outage)
    found = Inspector()
    found.feed((await http.get(path)).text)
    assert found.inline == []
    assert [address for address in found.addresses if not address.startswith(("/", "#"))] == []


@pytest.mark.parametrize("path", [*PAGES, "/static/live.js", "/static/style.css"])
async def test_every_answer_keeps_foreign_things_out(http: httpx.AsyncClient, path: str) -> None:
    """Pages, errors and files carry the same policy."""
    headers = (await http.get(path)).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/incidents/INC-99", "there is no incident INC-99"),
        ("/incidents/<b>", "there is no incident"),
        ("/alerts/none", "there is no alert"),
        ("/playbooks/none", "there is no playbook"),
    ],
)
async def test_what_does_not_exist_is_told_on_a_page(http: httpx.AsyncClient, path: str, said: str) -> None:
    """A person gets a page with the reason and the way back, not JSON."""
    answer = await http.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert said in answer.text
    assert 'href="/"' in answer.text


async def test_a_playbook_is_shown_with_its_steps_marked(http: httpx.AsyncClient) -> None:
    """Whoever follows a playbook sees what each step may do, and no front matter."""
    page = (await http.get("/playbooks/availability-slo-breach")).text
    assert "kokino.playbook/v1" not in page
    assert "<figure class='step effect-write' id='step-disable-cli'>" in page
    assert "undone by enable-cli" in page
    assert page.count("<figure") == len(load_library().get("availability-slo-breach").steps)
