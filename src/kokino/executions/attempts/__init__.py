"""One try at an execution: its CLI is started, followed and judged, and perhaps tried once more."""
