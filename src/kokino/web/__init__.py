"""The dashboard: pages rendered on the server, whose panels stay up to date by server-sent events.

`panels` reads what is shown, `render` makes HTML of it, `live` sends what changed, `routes` answers.
"""

from __future__ import annotations

from kokino.web.routes import mount, stop

__all__ = ["mount", "stop"]
