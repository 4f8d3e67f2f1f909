"""A small faultless playbook to break in one place, and the results of steps to judge."""

from __future__ import annotations

import json
from collections.abc import Mapping

from kokino.errors import ConfigInvalid, Fault
from kokino.playbooks.model import Playbook, StepResult, read_result
from kokino.playbooks.parse import parse_playbook

FILE = "disk.md"

SMALL = """\
---
schema: kokino.playbook/v1
id: disk
alert: disk-full
severity: P2
owner: "@ops-team"
escalation: resources
inputs:
  KOKINO_URL: address of the broker
  CLI_TYPE: the CLI type that fails
drill: {alert: 1m, pattern: 30s, repair: 30s, verified: 5m}
---

# Disk full

## Trigger
## Impact
## Investigate

### Compare

```sh {id=by-cli effect=read timeout=10s}
curl "$KOKINO_URL/by-cli"
```

## Patterns

```match {definitions}
# a comment
bad      = by-cli.where(failureRate >= 0.5)
CLI_TYPE = bad.one().cliType
```

| id | evidence | match | probable cause | solution | actions |
|---|---|---|---|---|---|
| one | by-cli | `bad.count() == 1` | it is broken | disable it | disable |
| many | by-cli | `bad.count() >= 2` | the network | wait | - |

## Mitigate

### Disable

```sh {id=disable effect=write run=auto undo=enable limit=1/1h}
curl "$KOKINO_URL/disable/$CLI_TYPE"
```

### Good again

```sh {id=good effect=read}
curl "$KOKINO_URL/good"
```

### Enable

```sh {id=enable effect=write run=auto after=good every=2m within=1h}
curl "$KOKINO_URL/enable/${CLI_TYPE}"
```

## Verify

### Count

```sh {id=service effect=read}
curl "$KOKINO_URL/service"
```

```match {verified for=5m within=20m}
service.successes >= 3
```

## Escalate
## Drill

```yaml {drill}
- id: breaks
  pattern: one
  inject: {target: cli, kind: auth}
  expect: {end: verified}
```
"""


def small(*changes: tuple[str, str]) -> str:
    """The small playbook with pieces of its text replaced; each must be there exactly once."""
    text = SMALL
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} stands there {text.count(old)} times"
        text = text.replace(old, new)
    return text


def parsed(*changes: tuple[str, str]) -> Playbook:
    """The small playbook with these changes, parsed."""
    return parse_playbook(small(*changes), file=FILE)


def faults_of(text: str) -> list[Fault]:
    """The faults of a text, none where it is a playbook."""
    try:
        parse_playbook(text, file=FILE)
    except ConfigInvalid as error:
        return list(error.faults)
    return []


def answered(**outputs: object) -> Mapping[str, StepResult]:
    """Results of steps that ended well; ``by_cli=[...]`` is the output of ``by-cli``."""
    return {name.replace("_", "-"): read_result(0, json.dumps(value)) for name, value in outputs.items()}
