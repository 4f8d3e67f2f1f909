"""What an incident is, and how it changes."""

from __future__ import annotations

from itertools import product

import pytest

from kokino.clock import EPOCH
from kokino.errors import Conflict, NotFound
from kokino.incidents.model import (
    TRANSITIONS,
    Change,
    Incident,
    IncidentState,
    Pattern,
    after,
    incident_id,
    incident_number,
)


def test_a_name_is_read_as_it_is_written() -> None:
    """INC-7 stands in addresses and on phones."""
    assert incident_id(7) == "INC-7"
    assert incident_number("INC-7") == incident_number("inc-7") == incident_number("7") == 7


@pytest.mark.parametrize("text", ["", "INC-", "INC-0", "INC--7", "INC-7; DROP", "7" * 40, "INC-\u0667"])
def test_what_is_no_name_is_no_incident(text: str) -> None:
    """Nothing else is looked up."""
    with pytest.raises(NotFound, match="its name looks like INC-7"):
        incident_number(text)


@pytest.mark.parametrize(("state", "change"), sorted(set(product(IncidentState, Change)) - set(TRANSITIONS)))
def test_a_change_that_is_not_in_the_table_is_refused(state: IncidentState, change: Change) -> None:
    """The table is the only way."""
    incident = Incident(
        number=7,
        rule_id="",
        labels={},
        title="",
        severity="P1",
        owner="",
        state=state,
        opened_at=EPOCH,
        mitigated_at=None,
        resolved_at=None,
        reviewed_at=None,
        review_due_at=None,
        root_cause=None,
        action_items=(),
        document="",
        documented_up_to=0,
    )
    with pytest.raises(Conflict, match=f"cannot {change} INC-7: it is {state}"):
        after(incident, change)


def test_a_pattern_survives_the_timeline() -> None:
    """Unknown stays unknown, and what others put beside it is passed over."""
    unknown = Pattern(pattern=None, playbook="availability-slo-breach")
    assert unknown.to_data() == {"pattern": None, "playbook": "availability-slo-breach"}
    assert Pattern.from_data({**unknown.to_data(), "why": "no evidence"}) == unknown
