"""The composition root: one broker from one configuration."""

from __future__ import annotations

from kokino.app.broker import Broker

__all__ = ["Broker"]
