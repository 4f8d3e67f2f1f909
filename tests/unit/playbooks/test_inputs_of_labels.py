"""What an alert's labels give to the steps of its playbook."""

from __future__ import annotations

from kokino.playbooks.model import inputs_of


def test_labels_that_name_something_of_ours_are_inputs() -> None:
    """Others are for people."""
    labels = {"agent": "writer", "cli_type": "claude-code", "slo": "latency"}
    assert inputs_of(labels) == {"AGENT_ID": "writer", "CLI_TYPE": "claude-code"}


def test_what_could_lead_elsewhere_in_an_address_is_no_input() -> None:
    """An alert of others may say anything."""
    for hostile in ("../api/pause?x=", "a/b", "a b", "", "a&b", "a\n", "é", "-x"):
        assert inputs_of({"agent": hostile}) == {}
