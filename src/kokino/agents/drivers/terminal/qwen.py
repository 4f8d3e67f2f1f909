r"""The screen of Qwen Code, as 0.15.10 draws it; recorded in ``tests/samples/qwen/terminal-*.screen``.

::

      > Say something.                          a prompt that was sent
      ╭───────────────╮                         a tool call
      │ ✓  ListFiles  │
      ╰───────────────╯
      ✦ An answer, and                          what the model says
        its second line.
      ● Request cancelled.                      what Escape leaves
      ✕ [API Error: ...]                        a failure
      ⠦ Thinking... (2s · esc to cancel)        only while it works
    ─────────────────────────────
    >   Type your message or @path/to/file      the box, between two rules
"""

from __future__ import annotations

import re

from kokino.agents.drivers.terminal.layout import Layout

LAYOUT = Layout(
    says="  ✦ ",
    prompt=re.compile(r"(?:  )?> +"),
    works=re.compile(r"^  \S .*\(\d+\w*.* esc to cancel\)", re.MULTILINE),
    waits=re.compile(r"^>   Type your message", re.MULTILINE),
    stopped=re.compile(r"  ● Request cancelled\."),
    fails="  ✕ ",
)
