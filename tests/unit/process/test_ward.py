from __future__ import annotations

import json
import os
import signal
import socket
from typing import cast

from kokino.process.keeper import MESSAGE_BYTES
from kokino.process.spawn import LaunchFields
from kokino.process.wards import Ward
from tests.unit.process.test_model import LAUNCH


def test_notes_to_a_keeper_that_does_not_read_never_crowd_out_its_orders() -> None:
    """A tree may stop its keeper and grow for hours; the order to end it arrives all the same."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    theirs.setblocking(False)
    with ours, theirs:
        # This process stands in for the keeper: it is not stopped, so SIGCONT does nothing.
        ward = Ward(cast("LaunchFields", LAUNCH.fields()), os.getpid(), ours, 1)
        for peak in range(1, 5000):
            ward.tell_peak(peak)
        ward.stop(signal.SIGKILL, 0, breach="memory")
        said = [json.loads(theirs.recv(MESSAGE_BYTES)) for _ in range(2)]
        ward.tell_peak(5000)
        said.append(json.loads(theirs.recv(MESSAGE_BYTES)))

    assert [message["do"] for message in said] == ["note", "stop", "note"]
    assert [said[0]["peak_bytes"], said[1]["breach"], said[2]["peak_bytes"]] == [1, "memory", 5000]
