r"""The screen of Codex, as 0.169.0 draws it; recorded in ``tests/samples/codex/terminal-*.screen``.

::

    › Say something.                      a prompt that was sent
    • Explored                            a tool call
      └ List ls
    • An answer, and                      what the model says
      its second line.
      Worked for 3s • 09:56
    ■ Conversation interrupted - ...      what Escape leaves; a failure begins so, too
    ◦ Working (1s • esc to interrupt)     only while it works
    › Ask Codex to do anything            the box: a mark, and a hint that is gone when something is typed

It is left with ``codex resume`` and the session's id as its last line.
"""

from __future__ import annotations

import re

from kokino.agents.drivers.terminal.layout import Layout

LAYOUT = Layout(
    says="• ",
    prompt=re.compile(r"› "),
    tool=re.compile(r"  [└│] "),
    hint=re.compile(r"  Worked for \S.* • \d\d:\d\d"),
    works=re.compile(r"^\S .*\(\d+[hms]\b.* esc to interrupt\)", re.MULTILINE),
    waits=re.compile(r"^› Ask Codex to do anything", re.MULTILINE),
    stopped=re.compile(r"■ Conversation interrupted\b"),
    fails="■ ",
    session=re.compile(r"\s*codex resume ([0-9a-f-]{36})"),
)
