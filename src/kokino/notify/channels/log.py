"""The broker's own log as a channel: everything arrives, nobody is woken."""

from __future__ import annotations

from typing import ClassVar

import structlog

from kokino.notify.model import Action, Delivery, Outcome, Receipt
from kokino.notify.text import heading

log = structlog.get_logger(__name__)


class LogChannel:
    """Writes one line for each delivery. The channel of last resort, so it needs no configuration."""

    is_paging: ClassVar[bool] = False

    def __init__(self, name: str = "log") -> None:
        self.name = name

    async def send(self, delivery: Delivery) -> Receipt:
        message = delivery.message
        write = log.warning if delivery.action is Action.TRIGGER else log.info
        write(
            heading(delivery.action, message),
            receiver=self.name,
            action=delivery.action.value,
            dedup_key=delivery.dedup_key,
            text=" | ".join(message.text.splitlines()[1:]),
        )
        return Receipt(outcome=Outcome.ACCEPTED, detail="written to the log")
