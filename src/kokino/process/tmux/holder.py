"""Holds a pane open for the CLI that is started in it: the program that tmux itself starts there.

The CLI is no child of tmux: its keeper starts it, with the pane as its terminal (`kokino.process.spawn`). A
terminal controls one session only, so this program lets go of it first; then it waits until the pane is gone.

Standard library only; run as `python -I -S holder.py [TEXT]`, and TEXT is what whoever attaches reads.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import sys
import termios


def main(text: str) -> None:
    """Until the pane is closed or respawned."""
    os.write(1, text.encode())
    # The kernel sends it to the session that loses its terminal: to this very process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # Keys are the CLI's: before it reads them, nothing may be made of them here.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    fcntl.ioctl(0, termios.TIOCNOTTY)
    poll = select.poll()
    poll.register(0, 0)  # no event but the hang-up, which needs no asking for
    poll.poll()


if __name__ == "__main__":
    main("".join(sys.argv[1:2]))
