"""The channels, one file for each kind of receiver."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from kokino.clock import Clock
from kokino.notify.channel import Channel
from kokino.notify.channels.alertmanager import AlertmanagerChannel, HowStands
from kokino.notify.channels.http import open_client
from kokino.notify.channels.log import LogChannel
from kokino.notify.channels.pagerduty import PagerDutyChannel
from kokino.notify.channels.slack import SlackChannel
from kokino.notify.settings import (
    LOG,
    AlertmanagerReceiver,
    LogReceiver,
    PagerDutyReceiver,
    Receiver,
    Routing,
    SlackReceiver,
)

__all__ = ["AlertmanagerChannel", "LogChannel", "PagerDutyChannel", "SlackChannel", "build", "open_client"]


def build(
    routing: Routing, *, client: httpx.AsyncClient, clock: Clock, stands: HowStands
) -> Mapping[str, Channel]:
    """A channel for each receiver that `routing` can name, the log's among them.

    `stands` tells those that keep alerts how one stands by now.
    """
    channels = {
        name: _channel(name, receiver, client, clock, stands) for name, receiver in routing.receivers.items()
    }
    return {LOG: LogChannel(), **channels}


def _channel(
    name: str, receiver: Receiver, client: httpx.AsyncClient, clock: Clock, stands: HowStands
) -> Channel:
    match receiver:
        case PagerDutyReceiver():
            return PagerDutyChannel(
                name, url=receiver.url, routing_key=receiver.routing_key, client=client, clock=clock
            )
        case SlackReceiver():
            return SlackChannel(name, webhook_url=receiver.webhook_url, client=client, clock=clock)
        case AlertmanagerReceiver():
            return AlertmanagerChannel(
                name,
                urls=receiver.urls,
                takes_watchdog=receiver.watchdog,
                client=client,
                clock=clock,
                stands=stands,
            )
        case LogReceiver():
            return LogChannel(name)
