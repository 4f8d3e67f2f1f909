"""How an agent is answered that asks for a permission: by policy at once, or by somebody, later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from acp.schema import (
    AllowedOutcome,
    DeniedOutcome,
    RequestPermissionRequest,
    RequestPermissionResponse,
    SessionNotification,
    ToolCall,
    ToolCallUpdate,
)
from msgspec import Raw

from kokino.agents.drivers.acp import messages
from kokino.agents.drivers.acp.turn import ENDED, Call, told
from kokino.agents.drivers.contract import PermissionOption, PermissionRequest
from kokino.agents.drivers.text import one_line
from kokino.agents.model import Permissions

#: Which kinds of option a policy takes, the first that is offered. Once goes before always: what an agent was
#: allowed for ever it would still do when the policy is another.
CHOICES = {
    Permissions.ALLOW: ("allow_once", "allow_always"),
    Permissions.REJECT: ("reject_once", "reject_always"),
}
#: A title is as long as a command may be; options are buttons.
TITLE_LIMIT, NAME_LIMIT = 500, 100


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that waits for its answer."""

    #: Of the message, as the agent wrote it.
    id: Raw
    #: Whose call it is: an agent below the agent has a session of its own.
    session_id: str
    call: Call
    request: PermissionRequest

    def option(self, option_id: str) -> PermissionOption | None:
        """The option of that id."""
        return next((option for option in self.request.options if option.id == option_id), None)

    def ends_with(self, notification: SessionNotification) -> bool:
        """True where an update says that its call is over."""
        update = notification.update
        return (
            isinstance(update, ToolCall | ToolCallUpdate)
            and update.status in ENDED
            and (notification.session_id, update.tool_call_id) == (self.session_id, self.call.id)
        )


def asked(id: Raw, params: RequestPermissionRequest) -> Asked:
    """A request in our words."""
    title = one_line(params.tool_call.title or "a tool call without a title", limit=TITLE_LIMIT)
    options = tuple(
        PermissionOption(id=one.option_id, name=one_line(one.name, limit=NAME_LIMIT), kind=one.kind)
        for one in params.options
    )
    request = PermissionRequest(id=messages.shown(id), title=title, options=options)
    # A copy of the id: as it comes it would keep the whole line.
    return Asked(Raw(bytes(id)), params.session_id, told(params.tool_call), request)


def choose(options: Sequence[PermissionOption], permissions: Permissions) -> PermissionOption | None:
    """The option that a policy takes; None where it takes none, or none is offered."""
    for kind in CHOICES.get(permissions, ()):
        for option in options:
            if option.kind == kind:
                return option
    return None


def answer(id: Raw, option: PermissionOption | None) -> bytes:
    """The answer as a line; without an option it is the protocol's ``cancelled``."""
    outcome = (
        DeniedOutcome(outcome="cancelled")
        if option is None
        else AllowedOutcome(outcome="selected", option_id=option.id)
    )
    return messages.response(id, RequestPermissionResponse(outcome=outcome))
