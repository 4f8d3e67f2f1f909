"""Whether a screen of which nothing is known asks something: then no prompt may be typed there.

What a CLI begins with is a question for a person: trust in a folder, a login. A prompt and an Enter would
answer it. What it asks later, a permission, must not be taken for its answer.
"""

from __future__ import annotations

import re

from kokino.agents.drivers.contract import Look, Sight
from kokino.agents.failures import FailureKind

_FLAGS = re.IGNORECASE | re.MULTILINE
#: What stands before the answer that Enter would give: arrows and dots.
_MARKED = r"[\u276f\u203a>\u25b6\u25b8\u279c\u2192*\u25cf\u25c9\u2022]"
#: ``> 1. Yes``, ``(*) Yes``, a dot before Yes: one of several answers, the marked one.
_CHOICE = re.compile(
    rf"^[\s│┃|]*(?:{_MARKED}\s*\d+[.)]\s|[(\[]\s*[\u25cf\u2022*x]\s*[)\]]\s|[\u25cf\u25c9]\s*(?:yes|no)\b)",
    _FLAGS,
)
#: ``> 1. Yes`` above ``2. No`` without a mark. Here a bullet marks nothing: answers have lists, too.
_MENU = re.compile(r"^[\s│┃|]*[\u276f\u203a>\u25b6\u25cf]\s*\d[.)]\s(?s:.*?)^[\s│┃|]*\d[.)]\s", re.MULTILINE)
#: So many of the lowest lines may be a menu; what stands above was said before.
LOWEST = 15
#: What is asked, in words.
_WORDS = re.compile(
    r"do you (?:want|wish|trust)\b|would you like to\b|\btrust (?:the|this|these) (?:files|folder|director)"
    r"|^\W*(?:select|choose) (?:an?|the|your|how|which|one|login|auth)\w*"
    r"|press (?:enter|return|any key) to (?:continue|confirm|select|start|proceed|log|sign|accept)"
    r"|enter to (?:confirm|select|continue)\b|[(\[]y(?:es)?/no?[)\]]",
    _FLAGS,
)
_LOGIN = re.compile(
    r"\bsign in\b|\blog in\b|\bauthenticate\b|(?:login|auth(?:entication)?) method"
    r"|(?:enter|paste|provide) (?:your|an?|the) (?:\w+ )?(?:api key|code|token)",
    _FLAGS,
)


def question_on(screen: str) -> Look | None:
    """What it asks, as a screen at which nothing can be typed; None where it asks nothing that is known."""
    if _LOGIN.search(screen):
        return _hopeless(FailureKind.AUTH, "it asks for a login")
    if _CHOICE.search(screen) or _WORDS.search(screen):
        return _hopeless(FailureKind.PROTOCOL, "it asks something before it takes a prompt")
    return None


def is_menu_on(screen: str) -> bool:
    """Whether a screen that stands still waits for a choice: no answer of a CLI, however it reads.

    Its words are not looked at, for an answer may end with a question.
    """
    lines = [line for line in screen.split("\n") if line.strip()]
    return _MENU.search("\n".join(lines[-LOWEST:])) is not None


def _hopeless(kind: FailureKind, says: str) -> Look:
    done = "answer it once by hand, as the broker's user with the agent's HOME and cwd"
    return Look(sight=Sight.HOPELESS, says=f"{says}; {done}", kind=kind)
