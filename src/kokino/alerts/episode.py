"""An alert's episode, as those follow it who care for one: from firing to resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One time from firing to resolved, while it goes on."""

    episode_id: str
    alert_id: str
    rule_id: str
    labels: Mapping[str, str]
    fired_at: datetime
    #: What the rule measured when it last looked.
    measured: Mapping[str, Any]
