"""Receivers, channels and an outbox with something in it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from kokino.notify.channels import PagerDutyChannel, SlackChannel, open_client
from kokino.notify.model import Message, Severity
from kokino.testing.clock import ManualClock
from kokino.testing.receivers import ROUTING_KEY, RecordingPagerDuty, RecordingSlack


@pytest.fixture
async def pagerduty() -> AsyncIterator[RecordingPagerDuty]:
    """A PagerDuty that listens."""
    async with RecordingPagerDuty() as receiver:
        yield receiver


@pytest.fixture
async def slack() -> AsyncIterator[RecordingSlack]:
    """A Slack webhook that listens."""
    async with RecordingSlack() as receiver:
        yield receiver


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """The client that the product uses."""
    async with open_client() as client:
        yield client


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still."""
    return ManualClock()


@pytest.fixture
def pager(client: httpx.AsyncClient, clock: ManualClock, pagerduty: RecordingPagerDuty) -> PagerDutyChannel:
    """The channel named ``oncall``."""
    return PagerDutyChannel("oncall", url=pagerduty.url, routing_key=ROUTING_KEY, client=client, clock=clock)


@pytest.fixture
def poster(client: httpx.AsyncClient, clock: ManualClock, slack: RecordingSlack) -> SlackChannel:
    """The channel named ``headless``."""
    return SlackChannel("headless", webhook_url=slack.webhook_url, client=client, clock=clock)


@pytest.fixture
def message() -> Message:
    """What is told in these tests."""
    return Message(severity=Severity.P1, title="Availability SLO breach detected", source="kokino-test")
