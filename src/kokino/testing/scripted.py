"""Starts the scripted agent: a program of its own, run by its path with ``-I -S``.

Python keeps the compiled form of what is imported, not of what is run: to compile the agent took a quarter of
its time to start, each time.
"""

import os
import sys

if __name__ == "__main__":
    # Behind the standard library: a file of ours must never stand in for one of its modules.
    sys.path.append(os.path.dirname(__file__))  # noqa: PTH120 - pathlib takes as long as the agent's own work
    import scripted_agent  # type: ignore[import-not-found]

    scripted_agent.main()
