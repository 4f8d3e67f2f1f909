"""A loopback server that stands in for the vendors' model services, so that real CLIs run without a network.

`server` listens, records and plays; `replies` are what a test scripts; each vendor's API is a dialect in a
file of its own.
"""

from tests.model_server.replies import Answer, Drop, Failure, Hang, Reply, ToolUse
from tests.model_server.server import ModelRequest, ModelServer

__all__ = ["Answer", "Drop", "Failure", "Hang", "ModelRequest", "ModelServer", "Reply", "ToolUse"]
