r"""The screen of Gemini CLI, as 0.61.0 draws it; recorded in ``tests/samples/gemini/terminal-*.screen``.

::

     > Say something.                           a prompt that was sent
      ✓  ReadFolder  . → Found 1 item(s).       a tool call; others are drawn in a box
    ✦ An answer, and                            what the model says
      its second line.
    ℹ Request cancelled.                        what Escape leaves
    ✕ [API Error: ...]                          a failure
     ⠴ Thinking... (esc to cancel, 2s)          only while it works
    ─────────────────────────────
     >   Type your message or @path/to/file     the box, below a rule
"""

from __future__ import annotations

import re

from kokino.agents.drivers.terminal.layout import Layout

LAYOUT = Layout(
    says="✦ ",
    prompt=re.compile(r" ?> +"),
    # Two blanks: an answer's lines may begin with one of these signs and a blank.
    begins=re.compile(r"  [✓✕⊶⊷?x-]  \S"),
    # At the right edge.
    hint=re.compile(r"\s{60,}\? for shortcuts"),
    works=re.compile(r"^ \S .*\(esc to cancel, \d+\w*", re.MULTILINE),
    waits=re.compile(r"^ >   Type your message", re.MULTILINE),
    stopped=re.compile(r"ℹ Request cancelled\."),
    fails="✕ ",
)
